//! Which roots of a layout are images, and which refer to one.

use windlass_image::{Graph, GraphOptions, Layout, LayoutError};
use windlass_oci::Digest;
use windlass_testkit::{Image, ImageBuilder, IndexBuilder, Layout as Written};

async fn found(layout: &Written, selector: Option<&str>) -> (Digest, Vec<Digest>) {
    let layout = Layout::open(layout.path()).await.unwrap();
    let root = layout.image(selector).await.unwrap();
    let options = GraphOptions::default();
    let image = Graph::read(&root, &*layout.store(), &options).await.unwrap();
    let referrers = layout.referrers(&image, &options).await.unwrap();
    let roots = referrers.iter().map(|graph| graph.root().raw.digest().clone());
    (root.digest, roots.collect())
}

fn about(subject: &Image, kind: &str) -> Image {
    let builder = ImageBuilder::new(7).empty_config().artifact_type(kind);
    builder.layers(1, 100).subject(subject.root()).build()
}

#[tokio::test]
async fn a_signature_beside_an_image_is_no_second_image() {
    let image = ImageBuilder::new(1).layers(1, 100).platforms(&["linux/amd64"]).build();
    let signature = about(&image, "a/signature");
    // A signature of the signature stands first, and is found all the same.
    let seal = about(&signature, "a/seal");
    let written = Written::directory(&[(&seal, None), (&signature, None), (&image, None)]);
    let (root, referrers) = found(&written, None).await;
    assert_eq!(root, *image.digest());
    assert_eq!(referrers, [signature.digest().clone(), seal.digest().clone()]);
    // Chosen by name, a signature is what is pushed.
    let (root, referrers) = found(&written, Some(signature.digest().as_str())).await;
    assert_eq!(root, *signature.digest());
    assert_eq!(referrers, [seal.digest().clone()]);
}

#[tokio::test]
async fn what_refers_to_a_part_or_stands_in_another_index_is_found() {
    let part = ImageBuilder::new(1).layers(1, 100).build();
    let image = IndexBuilder::new().child(Some("linux/amd64"), &part).build();
    let signature = about(&part, "a/signature");
    let stranger = about(&ImageBuilder::new(9).build(), "a/stranger");
    let list = IndexBuilder::new().child(None, &signature).child(None, &stranger).build();
    let written = Written::directory(&[(&image, Some("image")), (&list, Some("list"))]);
    let (_, referrers) = found(&written, Some("image")).await;
    assert_eq!(referrers, [signature.digest().clone()]);
}

#[tokio::test]
async fn what_is_in_the_image_is_not_found_twice() {
    let part = ImageBuilder::new(1).layers(1, 100).build();
    let attestation = about(&part, "an/attestation");
    let image =
        IndexBuilder::new().child(Some("linux/amd64"), &part).child(None, &attestation).build();
    let written = Written::directory(&[(&image, None), (&attestation, None)]);
    let (root, referrers) = found(&written, None).await;
    assert_eq!((root, referrers), (image.digest().clone(), Vec::new()));
}

#[tokio::test]
async fn two_images_stay_two() {
    let [one, two] = [1, 2].map(|seed| ImageBuilder::new(seed).layers(1, 100).build());
    let written = Written::directory(&[(&one, None), (&two, None)]);
    let layout = Layout::open(written.path()).await.unwrap();
    assert!(matches!(layout.image(None).await, Err(LayoutError::Several { .. })));
    // A signature alone is what is pushed, whatever it refers to.
    let alone = Written::directory(&[(&about(&one, "a/signature"), None)]);
    let layout = Layout::open(alone.path()).await.unwrap();
    assert_eq!(layout.image(None).await.unwrap().digest, *about(&one, "a/signature").digest());
}
