//! Whether what is built is whole, and always the same.

use super::*;
use windlass_oci::{Manifest, RawManifest};

fn view(image: &Image, descriptor: &Descriptor) -> Manifest {
    let bytes = image.bytes(&descriptor.digest);
    RawManifest::with_digest(descriptor.media_type.clone(), descriptor.digest.clone(), bytes)
        .expect("the digest of its bytes")
        .view()
        .unwrap()
}

/// All that the root reaches is there under its digest, and nothing else.
#[track_caller]
fn check_complete(image: &Image, foreign: usize) {
    let mut reached = std::collections::HashSet::new();
    let mut absent = 0;
    let mut left = vec![image.root().clone()];
    while let Some(descriptor) = left.pop() {
        if descriptor.media_type.is_non_distributable() {
            absent += 1;
            continue;
        }
        let bytes = image.bytes(&descriptor.digest);
        assert!(descriptor.digest.matches(&bytes));
        assert_eq!(descriptor.size, bytes.len() as u64);
        if descriptor.media_type.is_manifest() {
            left.extend(view(image, &descriptor).children().cloned());
        }
        reached.insert(descriptor.digest);
    }
    assert_eq!(reached.len(), image.parts().len());
    assert_eq!(absent, foreign);
    assert_eq!(image.parts().last().unwrap().descriptor, *image.root());
}

#[test]
fn the_same_seed_gives_the_same_image_and_another_seed_another() {
    let build = |seed| ImageBuilder::new(seed).layers(3, 1000).build();
    assert_eq!(build(1).digest(), build(1).digest());
    assert_ne!(build(1).digest(), build(2).digest());
    assert_eq!(
        ImageBuilder::new(0).layers(1, 9).build().digest().as_str(),
        "sha256:9e66460fe7f44bebc8952556c4deb83200162ae1fdcaed0ef1f55bec895c2202",
        "every machine must give the same digest"
    );
}

#[test]
fn images_of_all_kinds_are_complete() {
    let image = ImageBuilder::new(1).layers(5, 200_000).build();
    check_complete(&image, 0);
    assert_eq!((image.blobs().len(), image.manifests().len()), (6, 1));

    check_complete(&ImageBuilder::new(1).build(), 0);
    check_complete(&ImageBuilder::new(1).layers(2, 10).docker().build(), 0);
    check_complete(&ImageBuilder::new(1).layer(Layer::foreign(9, "https://x/y")).build(), 1);

    let platforms = ["linux/amd64", "linux/arm/v7"];
    let index =
        ImageBuilder::new(1).platforms(&platforms).shared_layers(2, 50).layers(1, 60).build();
    check_complete(&index, 0);
    assert_eq!((index.blobs().len(), index.manifests().len()), (2 + 2 + 2, 3));

    let nested = IndexBuilder::new()
        .child(Some("linux/s390x"), &image)
        .child(None, &index)
        .annotation("a", "b")
        .build();
    check_complete(&nested, 0);
    assert_eq!(nested.manifests().len(), 1 + 3 + 1);
    check_complete(&IndexBuilder::new().docker().build(), 0);
}

#[test]
fn sha512_reaches_every_digest() {
    let image = ImageBuilder::new(1).algorithm(Algorithm::Sha512).platforms(&["a/b"]).layers(1, 9);
    let image = image.build();
    check_complete(&image, 0);
    for part in image.parts() {
        assert_eq!(part.descriptor.digest.algorithm(), Algorithm::Sha512);
    }
}

#[test]
fn what_is_asked_for_stands_in_the_manifest() {
    let subject = ImageBuilder::new(7).build().root().clone();
    let image = ImageBuilder::new(1)
        .layer(Layer::bytes("here").inline())
        .empty_config()
        .inline_config()
        .subject(&subject)
        .artifact_type("application/vnd.example")
        .annotation("key", "value")
        .build();
    check_complete(&image, 0);
    let Manifest::Image(manifest) = view(&image, image.root()) else { panic!("an image") };
    assert_eq!(manifest.subject, Some(subject));
    assert_eq!(manifest.artifact_type.as_deref(), Some("application/vnd.example"));
    assert_eq!(manifest.annotations["key"], "value");
    assert_eq!(manifest.config.media_type, MediaType::OCI_EMPTY);
    assert_eq!(manifest.config.inline().unwrap().unwrap(), "{}");
    assert_eq!(manifest.layers[0].inline().unwrap().unwrap(), "here");
}

#[test]
fn real_layers_unpack_to_their_files_and_their_diff_id() {
    use std::io::Read as _;
    let image = ImageBuilder::new(1).layer(Layer::archive(&[("etc/motd", b"hello")])).build();
    let Manifest::Image(manifest) = view(&image, image.root()) else { panic!("an image") };
    let packed = image.bytes(&manifest.layers[0].digest);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
    let config: Value = serde_json::from_slice(&image.bytes(&manifest.config.digest)).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"][0], Digest::sha256(&unpacked).as_str());
    let mut archive = tar::Archive::new(&*unpacked);
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    assert_eq!(entry.path().unwrap().to_str(), Some("etc/motd"));
    let mut text = String::new();
    entry.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn a_part_can_be_left_out() {
    let image = ImageBuilder::new(1).layers(2, 10).build();
    let layer = image.blobs()[0].digest.clone();
    let sparse = image.clone().without(&layer);
    assert_eq!(sparse.digest(), image.digest());
    assert_eq!(sparse.parts().len(), image.parts().len() - 1);
}
