//! Pushes images that other tools built into registries that other people wrote, and has yet
//! other tools pull and unpack them. Windlass's own reading is never asked whether all is well.
//!
//! Runs where `WINDLASS_REAL_PARTS=1` says that the tools are there (`ci/real-parts` installs
//! them), as root: unpacking a root filesystem with its owners, and entering it, takes that.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helpers may stop at the first surprise too, and say why nothing was tested"
)]

mod images;
mod registries;
mod tools;

use std::path::Path;

use images::Image;
use registries::{Address, DockerRegistry, WindlassServe};
use tools::{pull, run, windlass};

#[test]
fn what_buildah_built_goes_through_docker_registry_unchanged() {
    let Some(work) = workspace() else { return };
    let registry = DockerRegistry::open();
    let image = images::by_buildah(work.path());
    push(&image.layout, &registry.address, "built/app", &["v1", "latest"], &image.digest);
    pulled_and_unpacked(work.path(), &registry.address, "built/app", "latest", &image);
}

#[test]
fn what_umoci_built_goes_from_an_archive_through_docker_registry_unchanged() {
    let Some(work) = workspace() else { return };
    let registry = DockerRegistry::open();
    let image = images::by_umoci(work.path());
    let archive = work.path().join("image.tar");
    run("tar", |tar| tar.arg("-cf").arg(&archive).arg("-C").arg(&image.layout).arg("."));
    push(&archive, &registry.address, "app", &["v1"], &image.digest);
    pulled_and_unpacked(work.path(), &registry.address, "app", "v1", &image);
}

#[test]
fn an_index_of_two_platforms_goes_through_docker_registry_whole() {
    let Some(work) = workspace() else { return };
    let registry = DockerRegistry::open();
    let index = images::index_by_buildah(work.path());
    push(&index.layout, &registry.address, "app", &["v1"], &index.digest);
    pulled_whole(work.path(), &registry.address, "app", "v1", &index);
    for architecture in ["amd64", "arm64"] {
        let layout = work.path().join(format!("pulled-{architecture}"));
        pull(&registry.address, "app", "v1", &layout, |skopeo| {
            skopeo.args(["--override-os", "linux", "--override-arch", architecture])
        });
        images::unpack_and_enter(&layout, "v1", &work.path().join(architecture));
    }
}

#[test]
fn a_registry_behind_tls_and_a_password_takes_the_right_one_only() {
    let Some(work) = workspace() else { return };
    let registry = DockerRegistry::guarded();
    let image = images::by_umoci(work.path());
    let attempt = |password: &str, with_authority: bool| {
        let repository = format!("{}/app", registry.address.host);
        let mut command = windlass();
        command.arg("push").arg(&image.layout).args(["-r", &repository, "-t", "v1"]);
        if with_authority {
            command.arg("--cacert").arg(registry.address.authority.as_ref().unwrap());
        }
        command.env("WINDLASS_USERNAME", registries::USERNAME);
        command.env("WINDLASS_PASSWORD", password);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains(password), "a password was shown: {said}");
        (output.status.code(), said)
    };
    let (code, said) = attempt("wrong-password", true);
    assert_eq!(code, Some(4), "{said}");
    let (code, said) = attempt(registries::PASSWORD, false);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("certificate"), "{said}");
    let (code, said) = attempt(registries::PASSWORD, true);
    assert_eq!(code, Some(0), "{said}");
    pulled_and_unpacked(work.path(), &registry.address, "app", "v1", &image);
}

#[test]
fn our_own_registry_serves_what_was_pushed_to_skopeo() {
    let Some(work) = workspace() else { return };
    let registry = WindlassServe::start(work.path());
    let image = images::by_buildah(work.path());
    push(&image.layout, &registry.address, "built/app", &["v1"], &image.digest);
    pulled_and_unpacked(work.path(), &registry.address, "built/app", "v1", &image);
    let index = images::index_by_buildah(work.path());
    push(&index.layout, &registry.address, "built/all", &["v1"], &index.digest);
    pulled_whole(work.path(), &registry.address, "built/all", "v1", &index);
}

#[test]
fn our_own_registry_takes_what_skopeo_pushes() {
    let Some(work) = workspace() else { return };
    let registry = WindlassServe::start(work.path());
    for image in [images::by_umoci(work.path()), images::index_by_buildah(work.path())] {
        run("skopeo", |skopeo| {
            skopeo.args(["copy", "--quiet", "--insecure-policy", "--all", "--preserve-digests"]);
            skopeo.arg("--dest-tls-verify=false").arg(image.transport());
            skopeo.arg(format!("docker://{}/by/skopeo:v1", registry.address.host))
        });
        pulled_whole(work.path(), &registry.address, "by/skopeo", "v1", &image);
    }
}

/// A folder of the test's own, or `None` where the tools are not said to be there.
fn workspace() -> Option<tempfile::TempDir> {
    if std::env::var_os("WINDLASS_REAL_PARTS").is_none_or(|value| value != "1") {
        println!("skipped: WINDLASS_REAL_PARTS is not 1; see ci/real-parts");
        return None;
    }
    Some(tempfile::tempdir().unwrap())
}

/// Pushes, and checks that standard output is the one line that it is said to be.
#[track_caller]
fn push(image: &Path, registry: &Address, name: &str, tags: &[&str], digest: &str) {
    let repository = format!("{}/{name}", registry.host);
    let mut command = windlass();
    command.arg("push").arg(image).arg("--repository").arg(&repository);
    for tag in tags {
        command.args(["--tag", tag]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {said}", output.status);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{repository}@{digest}\n"));
}

/// Pulls all platforms with skopeo and compares the root's digest with what was built.
#[track_caller]
fn pulled_whole(work: &Path, registry: &Address, name: &str, tag: &str, image: &Image) {
    let layout = tempfile::tempdir_in(work).unwrap();
    pull(registry, name, tag, layout.path(), |skopeo| skopeo.arg("--all"));
    let (media_type, digest) = images::root(layout.path());
    assert_eq!((media_type, digest), (image.media_type.clone(), image.digest.clone()));
}

#[track_caller]
fn pulled_and_unpacked(work: &Path, registry: &Address, name: &str, tag: &str, image: &Image) {
    pulled_whole(work, registry, name, tag, image);
    let layout = work.join("pulled");
    pull(registry, name, tag, &layout, |skopeo| skopeo);
    images::unpack_and_enter(&layout, tag, &work.join("bundle"));
}
