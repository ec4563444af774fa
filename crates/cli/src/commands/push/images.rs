//! Reads the images that are to be pushed.

use std::sync::Arc;

use windlass_image::{Graph, Layout};
use windlass_push::Job;

use crate::output::Output;
use crate::problem::Problem;
use crate::settings::{ImagePlace, ImageSettings, PushSettings};
use crate::words;

/// All of them, in their order.
pub(super) async fn read(settings: &PushSettings, output: &Output) -> Result<Vec<Job>, Problem> {
    let mut jobs = Vec::new();
    for ImageSettings { image, repositories, tags } in &settings.images {
        let graph = match image {
            ImagePlace::Layout { path, selector } => {
                let layout = Layout::open(path).await?;
                let root = layout.root(selector.as_deref())?;
                Graph::read(&root, &*layout.store(), &settings.graph).await?
            }
            ImagePlace::Request(request) => {
                Graph::read(&request.root, &request.files, &settings.graph).await?
            }
        };
        let left_out = graph.skipped().len() as u64;
        if left_out > 0 {
            let layers = words::count(left_out, "layer");
            output.note(&format!(
                "note: {layers} not to be distributed left out \
                 (--allow-nondistributable-artifacts pushes them)"
            ));
        }
        jobs.push(Job {
            image: Arc::new(graph),
            repositories: repositories.clone(),
            tags: tags.clone(),
            tag_policy: settings.tag_policy,
            expected_tags: settings.expected_tags.clone(),
        });
    }
    Ok(jobs)
}
