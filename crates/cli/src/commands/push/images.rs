//! Reads the images that are to be pushed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use windlass_image::{Graph, GraphOptions, Layout};
use windlass_oci::Tag;
use windlass_push::Job;

use super::referrers::{Given, each_once};
use crate::output::Output;
use crate::problem::Problem;
use crate::settings::{ImagePlace, ImageSettings, PushSettings};
use crate::words;

/// All of them, in their order.
pub(super) async fn read(settings: &PushSettings, output: &Output) -> Result<Vec<Job>, Problem> {
    let mut given = Given::open(&settings.referrers).await?;
    let mut jobs = Vec::new();
    for ImageSettings { name, image, referrers: own, repositories, tags } in &settings.images {
        let read = async {
            let (graph, mut referrers) = read_graph(image, &settings.graph).await?;
            let mut own = Given::open(own).await?;
            referrers.extend(own.of(&graph, &settings.graph).await?);
            own.refuse_strangers()?;
            referrers.extend(given.of(&graph, &settings.graph).await?);
            Ok((graph, each_once(referrers)))
        };
        let (graph, referrers) = read.await.map_err(|problem: Problem| match name {
            Some(name) => problem.of(name),
            _ => problem,
        })?;
        let left_out = graph.skipped().len() as u64;
        if left_out > 0 {
            let layers = words::count(left_out, "layer");
            output.note(&format!(
                "note: {layers} not to be distributed left out \
                 (--allow-nondistributable-artifacts pushes them)"
            ));
        }
        jobs.push(Job {
            name: name.clone(),
            image: Arc::new(graph),
            referrers,
            repositories: repositories.clone(),
            tags: tags.clone(),
            tag_policy: settings.tag_policy,
            expected_tags: settings.expected_tags.clone(),
            rollback: settings.rollback,
            tags_at_once: settings.tags_at_once,
            verify: settings.verify,
        });
    }
    given.refuse_strangers()?;
    refuse_two_images_for_one_tag(&jobs)?;
    Ok(jobs)
}

/// An image, and what in its layout refers to it.
async fn read_graph(
    image: &ImagePlace,
    options: &GraphOptions,
) -> Result<(Graph, Vec<Graph>), Problem> {
    match image {
        ImagePlace::Layout { path, selector } => {
            let layout = Layout::open(path).await.map_err(|error| {
                let problem = Problem::from(error);
                match hint_for(path) {
                    Some(hint) if !path.exists() => problem.hint(hint),
                    _ => problem,
                }
            })?;
            let root = layout.image(selector.as_deref()).await?;
            let graph = Graph::read(&root, &*layout.store(), options).await?;
            let referrers = layout.referrers(&graph, options).await?;
            Ok((graph, referrers))
        }
        ImagePlace::Files { root, store } => {
            Ok((Graph::read(root, &**store, options).await?, Vec::new()))
        }
    }
}

/// The later would win, whichever that is: nobody means that.
fn refuse_two_images_for_one_tag(jobs: &[Job]) -> Result<(), Problem> {
    let mut taken = HashMap::new();
    for job in jobs {
        let digest = job.image.root().raw.digest();
        let pairs = job
            .repositories
            .iter()
            .flat_map(|repository| job.tags.iter().map(move |tag| (repository, tag)));
        for (repository, tag) in pairs {
            let other = *taken.entry((repository, tag)).or_insert(digest);
            if other != digest {
                return Err(Problem::usage(format!(
                    "tag {tag} of {repository} would be set to two images, {other} and {digest}"
                )));
            }
        }
    }
    Ok(())
}

/// What to say to one who has typed what other tools take.
fn hint_for(path: &Path) -> Option<String> {
    let typed = path.to_str()?;
    for prefix in ["oci:", "oci-archive:"] {
        if let Some(rest) = typed.strip_prefix(prefix) {
            let path = rest.rsplit_once(':').map_or(rest, |(path, _)| path);
            return Some(format!("leave out {prefix:?}: windlass push {path}"));
        }
    }
    // Others of skopeo's transports: the text is what it takes itself.
    let others = ["dir:", "docker-archive:", "docker-daemon:", "containers-storage:"];
    if others.iter().any(|transport| typed.starts_with(transport)) {
        return Some(format!(
            "an OCI layout is wanted; `skopeo copy {typed} oci:image` makes one in the folder image"
        ));
    }
    let name = typed.strip_prefix("docker://").unwrap_or(typed);
    let is_name =
        name != typed || name.rsplit_once(':').is_some_and(|(_, tag)| tag.parse::<Tag>().is_ok());
    is_name.then(|| {
        format!(
            "an image on disk is wanted, an OCI layout; `skopeo copy docker://{name} oci:image` makes one in the folder image"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_tools_take_is_answered_with_what_is_taken_here() {
        let check =
            |typed: &str, expected: Option<&str>| match (hint_for(Path::new(typed)), expected) {
                (Some(hint), Some(words)) => assert!(hint.contains(words), "{hint}"),
                (hint, expected) => assert_eq!(hint.as_deref(), expected, "{typed}"),
            };
        check("oci:hello", Some("windlass push hello"));
        check("oci:hello:latest", Some("windlass push hello"));
        check("oci-archive:hello.tar", Some("windlass push hello.tar"));
        check("alpine:latest", Some("docker://alpine:latest oci:image"));
        check("docker://alpine", Some("docker://alpine oci:image"));
        check("dir:hello", Some("skopeo copy dir:hello oci:image"));
        check("docker-daemon:app:v1", Some("skopeo copy docker-daemon:app:v1 oci:image"));
        check("hello", None);
        check("./folder/hello", None);
    }
}
