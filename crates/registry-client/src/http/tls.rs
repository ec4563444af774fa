//! TLS. The only file that names its crates.

use super::origin::Origin;

/// What went wrong with TLS, where `error` is about that.
pub(super) fn problem(
    _error: &(dyn std::error::Error + 'static),
    _origin: &Origin,
) -> Option<String> {
    None
}
