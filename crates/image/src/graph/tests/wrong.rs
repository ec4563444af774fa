//! Images that are wrong.

use super::*;

#[test]
fn a_root_that_is_no_manifest_is_named() {
    let mut image = Image::default();
    let root = image.blob(MediaType::new("application/vnd.example.thing.v1+json"), "{}");
    check_contains(&image.problems(&root), &["application/vnd.example.thing.v1+json"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut image = Image::default();
    let mut broken = |name: &str, break_it: &dyn Fn(&mut Image, &Descriptor, &Descriptor)| {
        let config = image.config(&format!("config {name}"));
        let layer = image.layer(&format!("layer {name}"));
        let root = image.manifest(&config, std::slice::from_ref(&layer));
        break_it(&mut image, &config, &layer);
        root
    };
    let put = |image: &mut Image, descriptor: &Descriptor, content: &str| {
        let source = MemorySource::with_digest(descriptor.digest.clone(), content.to_owned());
        image.store.insert(source.called(&format!("the file {content}")));
    };
    let roots = [
        broken("1", &|image, config, _| put(image, config, "configXX")),
        broken("2", &|image, _, layer| put(image, layer, "short")),
        broken("3", &|image, _, layer| put(image, layer, "much too long")),
        broken("4", &|image, _, layer| put(image, layer, "layer X")),
    ];
    let corrupt = image.image("corrupt", &[]);
    let length = usize::try_from(corrupt.size).unwrap();
    put(&mut image, &corrupt, &"x".repeat(length));
    let no_json = image.blob(MediaType::OCI_MANIFEST, "{]");
    let contradictory = image.blob(
        MediaType::DOCKER_INDEX,
        r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
    );
    let small = Descriptor { size: 3, ..image.image("small", &[]) };
    let mut children = roots.to_vec();
    children.extend([corrupt.clone(), no_json.clone(), contradictory, small.clone()]);
    let root = image.index(&children);
    check_contains(
        &image.problems(&root),
        &[
            "the file configXX is corrupt: it has the digest sha256:",
            "the file short is cut short: it has 5 bytes, the descriptor of sha256:",
            "the file much too long is too long: it has 13 bytes",
            "the file layer X is corrupt",
            &format!("its descriptor says {}", corrupt.digest),
            &format!("manifest {}: not the JSON of a manifest", no_json.digest),
            "but it is described as application/vnd.docker.distribution.manifest.list.v2+json",
            &format!("the descriptor of {} says 3", small.digest),
        ],
    );
}

#[test]
fn descriptors_that_contradict_each_other_are_errors() {
    let mut image = Image::default();
    let config = image.config("config");
    let layer = image.layer("layer");
    let wrong = Descriptor { size: 6, ..layer.clone() };
    let (one, two) = (image.manifest(&config, &[layer]), image.manifest(&config, &[wrong]));
    let docker = Descriptor { media_type: MediaType::DOCKER_MANIFEST, ..one.clone() };
    let root = image.index(&[one.clone(), two.clone(), docker]);
    check_contains(
        &image.problems(&root),
        &[
            &format!("has 5 bytes by manifest {}, and 6 by manifest {}", one.digest, two.digest),
            &format!("manifest {} is a application/vnd.oci.image.manifest.v1+json by", one.digest),
        ],
    );
}

#[test]
fn bad_inline_content_is_an_error_even_where_the_store_has_the_blob() {
    let mut image = Image::default();
    let config = image.config("config");
    let root = image.manifest(&with_data(&config, "CONFIG"), &[]);
    let expected = format!("manifest {}: the descriptor of {}", root.digest, config.digest);
    check_contains(&image.problems(&root), &[expected]);
    let root = with_data(&image.image("a", &[]), "nonsense");
    check_contains(&image.problems(&root), &["the root descriptor: the descriptor of"]);
}

#[test]
fn a_manifest_that_names_itself_is_corrupt_and_no_loop() {
    let mut image = Image::default();
    let mut itself = Descriptor::of(MediaType::OCI_INDEX, b"itself");
    for _ in 0..3 {
        itself.size = json!({ "manifests": [itself] }).to_string().len() as u64;
    }
    let content = json!({ "manifests": [itself] }).to_string();
    image.store.insert(MemorySource::with_digest(itself.digest.clone(), content));
    check_contains(&image.problems(&itself), &["is corrupt"]);
    // Even if such content had that digest, the walk would end.
    let raw = RawManifest::new(
        MediaType::OCI_INDEX,
        Bytes::from(json!({ "manifests": [itself] }).to_string()),
    );
    let view = raw.view().unwrap();
    let content = ManifestContent { raw, view, manifests: Vec::new(), blobs: Vec::new() };
    let manifests = HashMap::from([(itself.digest.clone(), Arc::new(content))]);
    let order = order::walk(&itself, &manifests, &GraphOptions::default());
    assert_eq!(order.manifests.len(), 1);
}
