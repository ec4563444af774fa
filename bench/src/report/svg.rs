//! As charts.

use std::path::Path;

use anyhow::Result;

use crate::report::Report;

/// Draws the charts into `folder`.
pub(crate) fn write(_report: &Report, _folder: &Path) -> Result<()> {
    Ok(())
}
