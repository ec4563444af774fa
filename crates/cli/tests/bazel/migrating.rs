//! A workspace that was written for rules_oci, with one line in each BUILD file changed: the `load`.

use serde_json::{Value, json};
use windlass_testkit::TestRegistry;

use crate::contents;
use crate::foreign::write_image_to;
use crate::harness::{Workspace, workspace};
use crate::layouts::pull;

#[test]
fn the_build_files_of_rules_oci_work_as_they_are() {
    let Some(_turn) = workspace() else { return };
    let workspace = Workspace::named("from_rules_oci");
    let base = write_image_to(&workspace, &workspace.folder().join("base/layout"), "a base");
    let registry = TestRegistry::plain();
    let push = |flags: &[&str], target: &str| {
        let before = registry.tags_set().len();
        let repository = format!("{}/{}", registry.host(), target.replace(['/', ':'], ""));
        workspace.push(flags, target, &["--repository", &repository]).ends_with(0);
        let set = registry.tags_set();
        let tags: Vec<_> = set[before..].iter().map(|set| set.tag.to_string()).collect();
        (repository, tags)
    };

    let (repository, tags) = push(&["--embed_label=v9"], "//app:push");
    assert_eq!(tags, ["latest", "v9"]);
    let image = &pull(&workspace, &format!("{repository}:v9")).images[0];
    assert_eq!(image.archives.len(), base.images[0].archives.len() + 2);
    assert_eq!(
        image.config["config"],
        json!({
            "User": "1000:1000",
            "ExposedPorts": {"8080/tcp": {}, "9090": {}},
            "Env": ["PATH=/srv/bin:/usr/bin", "HOME=/srv", "CACHE=/srv/cache"],
            "Entrypoint": ["/srv/app"],
            "Cmd": ["--verbose"],
            "Volumes": {"/srv/data": {}},
            "WorkingDir": "/srv",
            "Labels": {
                "org.opencontainers.image.version": "1.2.3",
                "org.opencontainers.image.title": "The shop",
            },
        })
    );
    let annotations = json!({"org.opencontainers.image.authors": "shop"});
    assert_eq!(image.manifest["annotations"], annotations);

    let (repository, tags) = push(&[], "//app:push_index");
    assert_eq!(tags, ["nightly"]);
    let index = pull(&workspace, &format!("{repository}:nightly"));
    let architectures: Vec<&Value> =
        index.images.iter().map(|image| &image.platform["architecture"]).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    for image in &index.images {
        assert_eq!(image.config["config"]["Env"], json!(["HOME=/srv", "DATA=/srv/data"]));
        assert_eq!(image.config["config"]["Entrypoint"], json!(["/srv/app", "--serve"]));
        assert_eq!(image.config["config"]["Cmd"], json!(["--port", "8080"]));
    }

    let (_, tags) = push(&[], "//app:push_by_file");
    assert_eq!(tags, ["stable"]);
    let (_, tags) = push(&[], "//app:push_anywhere");
    assert!(tags.is_empty());

    workspace.build(["//app:digests", "//app:image"]).ends_with(0);
    let digest = std::fs::read_to_string(workspace.bin("app/image.json.sha256")).unwrap();
    assert_eq!(digest, format!("{}\n", contents::of_layout(&workspace.bin("app/image")).digest));
}
