use windlass_oci::Manifest;

use super::*;

fn layer(content: &str, media_type: MediaType) -> Layer {
    Layer {
        media_type,
        digest: Digest::sha256(content.as_bytes()),
        size: content.len() as u64,
        diff_id: Digest::sha256(format!("inside of {content}").as_bytes()),
    }
}

fn linux() -> Platform {
    Platform {
        architecture: "arm64".to_owned(),
        os: "linux".to_owned(),
        os_version: None,
        os_features: Vec::new(),
        variant: Some("v8".to_owned()),
    }
}

fn changes(layers: &[Layer]) -> ImageChanges {
    ImageChanges { layers: layers.to_vec(), created_by: "us".to_owned(), ..ImageChanges::default() }
}

fn layers_of(image: &AssembledImage) -> Vec<Descriptor> {
    match image.manifest.view().unwrap() {
        Manifest::Image(view) => view.layers,
        Manifest::Index(_) => panic!("an index"),
    }
}

/// The bytes of a base of one layer, changed by `change`.
fn base_with(change: impl FnOnce(&mut Value, &mut Value)) -> (Vec<u8>, Vec<u8>) {
    let mut config = json!({
        "os": "linux",
        "architecture": "amd64",
        "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(b"base")] },
        "history": [{ "created_by": "base" }],
        "future": { "field": 1 },
    });
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": {},
        "layers": [{ "mediaType": "any/layer", "digest": Digest::sha256(b"base"), "size": 4, "x": 1 }],
        "annotations": { "a": "base", "b": "base" },
        "future": [1],
    });
    change(&mut manifest, &mut config);
    let config = config.to_string().into_bytes();
    if let Some(named) = manifest.get_mut("config").filter(|named| named.is_object()) {
        let said = named["mediaType"].as_str();
        let media_type = said.map_or(MediaType::OCI_CONFIG, MediaType::new);
        *named = json!(Descriptor::of(media_type, &config));
    }
    (manifest.to_string().into_bytes(), config)
}

#[test]
fn an_image_of_nothing_is_a_whole_image() {
    let image = Base::scratch(&linux()).assemble(&changes(&[])).unwrap();
    let config = r#"{"architecture":"arm64","config":{},"created":"1970-01-01T00:00:00Z","history":[],"os":"linux","rootfs":{"diff_ids":[],"type":"layers"},"variant":"v8"}"#;
    assert_eq!(str::from_utf8(&image.config).unwrap(), config);
    let digest = Digest::sha256(config.as_bytes());
    let manifest = format!(
        r#"{{"config":{{"digest":"{digest}","mediaType":"application/vnd.oci.image.config.v1+json","size":{}}},"layers":[],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}}"#,
        config.len(),
    );
    assert_eq!(str::from_utf8(image.manifest.bytes()).unwrap(), manifest);
    assert_eq!(image.descriptor().platform, Some(linux()));
    assert_eq!(image.descriptor().digest, Digest::sha256(manifest.as_bytes()));
}

#[test]
fn layers_come_in_their_order_and_may_come_twice() {
    let (one, two) = (layer("z", MediaType::OCI_LAYER), layer("a", MediaType::OCI_LAYER_ZSTD));
    let layers = [one.clone(), two.clone(), one.clone()];
    let image = Base::scratch(&linux()).assemble(&changes(&layers)).unwrap();
    assert_eq!(layers_of(&image), layers.each_ref().map(Layer::descriptor));
    let config: Value = serde_json::from_slice(&image.config).unwrap();
    let diff_ids = layers.each_ref().map(|layer| &layer.diff_id);
    assert_eq!(config["rootfs"]["diff_ids"], json!(diff_ids));
    assert_eq!(config["history"].as_array().unwrap().len(), 3);
}

#[test]
fn what_a_base_says_is_kept_whether_it_is_known_or_not() {
    let (manifest, config) = base_with(|_, _| {});
    let base = Base::parse(&manifest, &config).unwrap();
    let note = |key: &str, value: &str| Note::new(key, value).unwrap();
    let annotations = vec![note("b", "ours"), note("c", "ours")];
    let changes = ImageChanges { annotations, ..changes(&[layer("x", MediaType::OCI_LAYER)]) };
    let image = base.assemble(&changes).unwrap();
    let manifest: Value = serde_json::from_slice(image.manifest.bytes()).unwrap();
    assert_eq!(manifest["future"], json!([1]));
    assert_eq!(manifest["layers"][0]["x"], 1);
    assert_eq!(manifest["annotations"], json!({ "a": "base", "b": "ours", "c": "ours" }));
    let config: Value = serde_json::from_slice(&image.config).unwrap();
    assert_eq!(config["future"], json!({ "field": 1 }));
    assert_eq!(
        config["history"][1],
        json!({ "created": "1970-01-01T00:00:00Z", "created_by": "us" })
    );
    assert_eq!(config.get("created"), None);
    assert_eq!(image.platform.to_string(), "linux/amd64");
}

#[test]
fn numbers_of_a_base_are_not_rounded() {
    let numbers = "[123456789012345678901234567890,-9223372036854775809,1e400]";
    let (manifest, config) = base_with(|_, config| config["future"] = json!("NUMBERS"));
    let config = String::from_utf8(config).unwrap().replace("\"NUMBERS\"", numbers);
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let named = Descriptor::of(MediaType::OCI_CONFIG, config.as_bytes());
    manifest["config"] = json!(named);
    let base = Base::parse(manifest.to_string().as_bytes(), config.as_bytes()).unwrap();
    let image = base.assemble(&changes(&[])).unwrap();
    let written = str::from_utf8(&image.config).unwrap().replace("e+", "e");
    assert!(written.contains(numbers), "{written}");
}

#[test]
fn what_a_base_refers_to_is_not_said_of_what_is_built_on_it() {
    let (manifest, config) = base_with(|manifest, _| {
        manifest["subject"] = manifest["config"].clone();
        manifest["artifactType"] = json!("application/vnd.example");
    });
    let image = Base::parse(&manifest, &config).unwrap().assemble(&changes(&[])).unwrap();
    let manifest: Value = serde_json::from_slice(image.manifest.bytes()).unwrap();
    assert_eq!((manifest.get("subject"), manifest.get("artifactType")), (None, None));
}

#[test]
fn layers_have_the_media_types_of_the_bases_family() {
    let ours = [MediaType::OCI_LAYER, MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_ZSTD];
    let layers = ours.each_ref().map(|media_type| layer("x", media_type.clone()));
    let check = |manifest_type: Option<MediaType>, config_type: MediaType, is_docker: bool| {
        let (manifest, config) = base_with(|manifest, _| {
            manifest["config"]["mediaType"] = json!(config_type);
            manifest["mediaType"] = json!(manifest_type);
        });
        let image = Base::parse(&manifest, &config).unwrap().assemble(&changes(&layers)).unwrap();
        let manifest: Value = serde_json::from_slice(image.manifest.bytes()).unwrap();
        assert_eq!(manifest["config"]["mediaType"], json!(config_type));
        let expected = if is_docker { MediaType::DOCKER_MANIFEST } else { MediaType::OCI_MANIFEST };
        assert_eq!(manifest["mediaType"], json!(expected));
        let got: Vec<_> = layers_of(&image)[1..].iter().map(|l| l.media_type.clone()).collect();
        let docker = ["tar", "tar.gzip", "tar.zstd"]
            .map(|end| MediaType::new(&format!("application/vnd.docker.image.rootfs.diff.{end}")));
        assert_eq!(got, if is_docker { docker } else { ours.clone() });
    };
    check(Some(MediaType::OCI_MANIFEST), MediaType::OCI_CONFIG, false);
    check(Some(MediaType::DOCKER_MANIFEST), MediaType::DOCKER_CONFIG, true);
    check(None, MediaType::OCI_CONFIG, false);
    check(None, MediaType::DOCKER_CONFIG, true);
    // BuildKit has written such.
    check(Some(MediaType::OCI_MANIFEST), MediaType::DOCKER_CONFIG, false);
}

#[test]
fn an_image_that_was_built_can_be_built_on() {
    let below = layer("below", MediaType::OCI_LAYER_GZIP);
    let first = Base::scratch(&linux()).assemble(&changes(std::slice::from_ref(&below))).unwrap();
    let base = Base::parse(first.manifest.bytes(), &first.config).unwrap();
    let above = layer("above", MediaType::OCI_LAYER_GZIP);
    let second = base.assemble(&changes(std::slice::from_ref(&above))).unwrap();
    let at_once = Base::scratch(&linux()).assemble(&changes(&[below, above])).unwrap();
    assert_eq!(second, at_once);
}

#[test]
fn a_base_that_is_none_is_refused() {
    let check = |change: &dyn Fn(&mut Value, &mut Value), expected: &str| {
        let (manifest, config) = base_with(|manifest, config| change(manifest, config));
        let error = Base::parse(&manifest, &config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|manifest, _| *manifest = json!([]), "the base's manifest cannot be understood: ");
    check(&|manifest, _| manifest["config"] = json!(1), "cannot be understood: its config: ");
    check(&|manifest, _| manifest["layers"] = json!({}), "its layers is no list");
    check(
        &|manifest, _| manifest["mediaType"] = json!(MediaType::OCI_INDEX),
        "is an index, not an image",
    );
    check(
        &|manifest, _| manifest["mediaType"] = json!(MediaType::DOCKER_INDEX),
        "is an index, not an image",
    );
    check(&|manifest, _| *manifest = json!({ "manifests": [] }), "is an index, not an image");
    check(&|manifest, _| manifest["mediaType"] = json!("a/b"), "it is of the type a/b");
    check(
        &|manifest, _| manifest["config"]["mediaType"] = json!(MediaType::OCI_EMPTY),
        "is no image: its config is of the type application/vnd.oci.empty.v1+json",
    );
    check(&|_, config| *config = json!([]), "the base's config cannot be understood: it is not");
    check(&|_, config| config["os"] = json!(null), "which operating system");
    check(
        &|_, config| config["rootfs"]["diff_ids"] = json!([]),
        "the base's manifest has 1 layers, but its config tells of 0",
    );
    let (manifest, _) = base_with(|_, _| {});
    let error = Base::parse(&manifest, b"{}").unwrap_err().to_string();
    assert!(error.contains(&format!("has the digest {}", Digest::sha256(b"{}"))), "{error}");
    let (manifest, config) = base_with(|manifest, _| manifest["annotations"] = json!([]));
    let annotations = vec![Note::new("a", "b").unwrap()];
    let changes = ImageChanges { annotations, ..changes(&[]) };
    let error = Base::parse(&manifest, &config).unwrap().assemble(&changes).unwrap_err();
    assert!(error.to_string().contains("its annotations is no JSON object"), "{error}");
}
