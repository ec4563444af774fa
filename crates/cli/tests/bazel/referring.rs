//! What refers to an image: pushed with it, and there before its first tag.

use std::fs;

use windlass_oci::{Descriptor, MediaType};
use windlass_testkit::{Call, Image, ImageBuilder, Logged, TestRegistry};

use crate::contents;
use crate::harness::{copy, workspace};

fn about(subject: &Descriptor, kind: &str) -> Image {
    let builder = ImageBuilder::new(7).empty_config().artifact_type(kind);
    builder.layers(1, 500).subject(subject).build()
}

#[test]
fn what_refers_to_an_image_is_pushed_with_it_and_before_its_tags() {
    let Some(workspace) = workspace() else { return };
    workspace.build(["//service:image"]).ends_with(0);
    let built = workspace.bin("service/image");
    let digest = contents::of_layout(&built).digest;
    let manifest = fs::read(built.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, &manifest);
    assert_eq!(subject.digest.as_str(), digest);

    let package = workspace.folder().join("tests/signed");
    let (signature, bill) = (about(&subject, "a/signature"), about(&subject, "a/bill"));
    let _ = fs::remove_dir_all(package.join("signature"));
    copy(signature.directory().path(), &package.join("signature"));
    fs::copy(bill.archive().path(), package.join("bill.tar")).unwrap();
    for target in ["push", "push_all"] {
        let registry = TestRegistry::plain();
        let repository = format!("{}/app", registry.host());
        let label = format!("//tests/signed:{target}");
        let ran = workspace.push(&[], &label, &["-r", &repository]).ends_with(0);
        assert!(ran.stderr.contains("2 referrers sent"), "{}", ran.stderr);
        assert!(registry.has_image("app", &signature) && registry.has_image("app", &bill));
        let at = |logged: &[Logged]| logged.iter().map(|logged| logged.at).max().unwrap();
        let [manifests, tags] = [Call::ManifestPut, Call::TagPut].map(|call| registry.calls(call));
        assert_eq!((manifests.len(), tags.len()), (3, 1));
        assert!(at(&manifests) < at(&tags));
    }

    // Of another image: it was built again after it was signed, say.
    let stranger = about(ImageBuilder::new(8).build().root(), "a/bill");
    fs::copy(stranger.archive().path(), package.join("bill.tar")).unwrap();
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let ran = workspace.push(&[], "//tests/signed:push", &["-r", &repository]).ends_with(2);
    assert!(ran.stderr.contains("refers to what is pushed"), "{}", ran.stderr);
    assert!(registry.log().is_empty());
}
