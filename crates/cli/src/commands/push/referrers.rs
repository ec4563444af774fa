//! Layouts with what refers to images, as `--referrer` gives them for all and a request for its own.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_image::{Graph, GraphOptions, Layout};

use crate::problem::Problem;

/// The layouts that were given, and whether anything in them was of use.
pub(super) struct Given(Vec<(Layout, bool)>);

impl Given {
    /// Opens them all.
    pub(super) async fn open(paths: &[PathBuf]) -> Result<Given, Problem> {
        let mut layouts = Vec::new();
        for path in paths {
            layouts.push((Layout::open(path).await?, false));
        }
        Ok(Given(layouts))
    }

    /// What in them refers to `image`.
    pub(super) async fn of(
        &mut self,
        image: &Graph,
        options: &GraphOptions,
    ) -> Result<Vec<Graph>, Problem> {
        let mut referrers = Vec::new();
        for (layout, is_of_use) in &mut self.0 {
            let found = layout.referrers(image, options).await?;
            *is_of_use |= !found.is_empty();
            referrers.extend(found);
        }
        Ok(referrers)
    }

    /// A layout of which nothing refers to any image was not meant.
    pub(super) fn refuse_strangers(self) -> Result<(), Problem> {
        match self.0.into_iter().find(|(_, is_of_use)| !is_of_use) {
            None => Ok(()),
            Some((layout, _)) => {
                let path = layout.path().display();
                Err(Problem::usage(format!("nothing in {path} refers to what is pushed")).hint(
                    "a manifest is wanted whose `subject` is the image or a part of it; was the image built again after it was signed?",
                ))
            }
        }
    }
}

/// The same referrer may stand in several layouts.
pub(super) fn each_once(referrers: Vec<Graph>) -> Vec<Arc<Graph>> {
    let mut seen = HashSet::new();
    let new = |graph: &Graph| seen.insert(graph.root().raw.digest().clone());
    referrers.into_iter().filter(new).map(Arc::new).collect()
}
