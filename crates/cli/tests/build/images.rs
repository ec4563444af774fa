//! `windlass build image`.

use serde_json::{Value, json};
use windlass_testkit::ImageBuilder;

use crate::harness::{Root, archive, digest, gzip};

#[test]
fn everything_that_a_target_may_say() {
    let root = Root::new();
    let (one, two) = (archive("one", b"1"), gzip(&archive("two", b"2")));
    root.layer("one.tar", &one);
    root.layer("two.tar.gz", &two);
    root.write("created.txt", "2024-02-29T01:02:03Z\n");
    let fields = json!({
        "layers": ["one.tar.json", "two.tar.gz.json", "one.tar.json"],
        "platform": { "os": "linux", "architecture": "arm64", "variant": "v8" },
        "entrypoint": { "values": ["/app", "--name=$NAME\n"] },
        "cmd": { "values": [] },
        "env": { "values": [["Z", "1"], ["A", "${Z}2"], ["Z", "$Z$A$$"]] },
        "user": "65532:65532",
        "workdir": "/srv",
        "exposed_ports": { "values": ["8080/tcp", "53/udp"] },
        "volumes": { "values": ["/data"] },
        "labels": { "values": [["org.opencontainers.image.source", "https://example.com"]] },
        "annotations": { "values": [["b", "2"], ["a", "1"]] },
        "created": "created.txt",
    });
    root.image("image", &fields).succeeded();

    let manifest = root.read("image.manifest.json");
    let config = root.read("image.config.json");
    let history = json!({
        "created": "1970-01-01T00:00:00Z",
        "created_by": "bazel build //app:image",
    });
    let inner = archive("two", b"2");
    assert_eq!(
        root.json("image.config.json"),
        json!({
            "architecture": "arm64",
            "os": "linux",
            "variant": "v8",
            "created": "2024-02-29T01:02:03Z",
            "config": {
                "Entrypoint": ["/app", "--name=$NAME\n"],
                "Cmd": [],
                "Env": ["Z=112$$", "A=12"],
                "User": "65532:65532",
                "WorkingDir": "/srv",
                "ExposedPorts": { "8080/tcp": {}, "53/udp": {} },
                "Volumes": { "/data": {} },
                "Labels": { "org.opencontainers.image.source": "https://example.com" },
            },
            "rootfs": { "type": "layers", "diff_ids": [digest(&one), digest(&inner), digest(&one)] },
            "history": [history, history, history],
        }),
    );
    let layer = |end: &str, bytes: &[u8]| {
        let media_type = format!("application/vnd.oci.image.layer.v1.{end}");
        json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
    };
    assert_eq!(
        root.json("image.manifest.json"),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(&config),
                "size": config.len(),
            },
            "layers": [layer("tar", &one), layer("tar+gzip", &two), layer("tar", &one)],
            "annotations": { "a": "1", "b": "2" },
        }),
    );
    assert_eq!(
        root.json("image.descriptor.json"),
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest(&manifest),
            "size": manifest.len(),
            "platform": { "os": "linux", "architecture": "arm64", "variant": "v8" },
        }),
    );
    assert_eq!(root.text("image.digest"), format!("{}\n", digest(&manifest)));
}

#[test]
fn the_same_input_is_the_same_bytes_in_another_folder() {
    let build = || {
        let root = Root::new();
        root.layer("one.tar", &archive("one", b"1"));
        let labels: Vec<_> =
            (0..50).map(|n| [format!("key{}", n * 7 % 50), "x".to_owned()]).collect();
        let fields = json!({ "layers": ["one.tar.json"], "labels": { "values": labels } });
        root.image("image", &fields).succeeded();
        ["manifest.json", "config.json", "descriptor.json", "digest"]
            .map(|output| root.read(&format!("image.{output}")))
    };
    assert_eq!(build(), build());
}

#[test]
fn attributes_may_stand_in_files() {
    let root = Root::new();
    root.write("entrypoint", "/app\n# no comment\n");
    root.write("cmd", "");
    root.write("env", "# of all\r\nA=1\r\n\r\nB=$A=2 \r\n");
    root.write("ports", "80,443/tcp\n53/udp\n");
    root.write("volumes", "/a, /b\n");
    root.write("labels", "a=1\nb=\n");
    root.write("annotations", "x=y=z");
    let fields = json!({
        "entrypoint": { "file": "entrypoint" },
        "cmd": { "file": "cmd" },
        "env": { "file": "env" },
        "exposed_ports": { "file": "ports" },
        "volumes": { "file": "volumes" },
        "labels": { "file": "labels" },
        "annotations": { "file": "annotations" },
    });
    root.image("image", &fields).succeeded();
    let expected = json!({
        "Entrypoint": ["/app", "# no comment"],
        "Cmd": [],
        "Env": ["A=1", "B=1=2 "],
        "ExposedPorts": { "80": {}, "443/tcp": {}, "53/udp": {} },
        "Volumes": { "/a": {}, "/b": {} },
        "Labels": { "a": "1", "b": "" },
    });
    assert_eq!(root.json("image.config.json")["config"], expected);
    assert_eq!(root.json("image.manifest.json")["annotations"], json!({ "x": "y=z" }));
}

#[test]
fn an_image_is_built_on_one_of_another_family() {
    let root = Root::new();
    let base = ImageBuilder::new(1).layers(2, 1000).docker().annotation("kept", "yes").build();
    root.import("base", base.directory().path(), None).succeeded();
    root.layer("one.tar.gz", &gzip(&archive("one", b"1")));
    root.layer("two.tar", &archive("two", b"2"));
    let on_base = |fields: Value| {
        let mut spec = json!({
            "base": { "manifest": "base.manifest.json", "config": "base.config.json" },
            "platform": null,
        });
        for (key, value) in fields.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    let layers = json!({ "layers": ["one.tar.gz.json", "two.tar.json"] });
    root.image("image", &on_base(layers)).succeeded();
    let (before, after) = (root.json("base.manifest.json"), root.json("image.manifest.json"));
    assert_eq!(after["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(after["config"]["mediaType"], "application/vnd.docker.container.image.v1+json");
    assert_eq!(after["annotations"], json!({ "kept": "yes" }));
    assert_eq!(after["layers"].as_array().unwrap()[..2], before["layers"].as_array().unwrap()[..]);
    let ours = "application/vnd.docker.image.rootfs.diff.tar";
    assert_eq!(after["layers"][2]["mediaType"], format!("{ours}.gzip"));
    assert_eq!(after["layers"][3]["mediaType"], ours);
    let (before, after) = (root.json("base.config.json"), root.json("image.config.json"));
    assert_eq!(after["rootfs"]["diff_ids"].as_array().unwrap().len(), 4);
    assert_eq!(after["history"].as_array().unwrap().len(), 4);
    for kept in ["author", "os", "architecture", "created"] {
        assert_eq!(after[kept], before[kept]);
    }
    let descriptor = root.json("image.descriptor.json");
    assert_eq!(descriptor["platform"], json!({ "os": "linux", "architecture": "amd64" }));

    let refused = |fields: Value, code: i32, words: &str| {
        root.image("image", &on_base(fields)).failed(code, &format!("error: //app:image: {words}"));
    };
    refused(json!({ "platform": { "os": "linux", "architecture": "amd64" } }), 2, "a platform is");
    root.write("base.config.json", "{}");
    refused(json!({}), 3, "the base's config has the digest sha256:44136fa355b3678a");
    root.write("base.manifest.json", r#"{"manifests":[]}"#);
    refused(json!({}), 3, "the base is an index, not an image");
    root.write("base.manifest.json", "[]");
    refused(json!({}), 3, "the base's manifest cannot be understood: ");
    std::fs::remove_file(root.path("base.manifest.json")).unwrap();
    refused(json!({}), 3, "cannot read the base's manifest base.manifest.json: ");
}

#[test]
fn what_is_said_wrongly_is_told_with_its_place() {
    let root = Root::new();
    root.write("bad.txt", "# fine\nA=1\nhttp\n=x\n");
    root.write("binary", b"\x7fELF\xff\0");
    let check = |fields: Value, words: &str| {
        root.image("image", &fields).failed(2, &format!("error: //app:image: {words}"));
    };
    check(json!({ "env": { "values": [["", "x"]] } }), "env: a variable of the environment has no");
    check(json!({ "env": { "values": [["A=B", "x"]] } }), "env: \"A=B\" is no name");
    check(json!({ "env": { "file": "bad.txt" } }), "bad.txt:3: \"http\" is no KEY=VALUE");
    check(json!({ "labels": { "values": [["", "x"]] } }), "labels: a key is empty");
    check(json!({ "annotations": { "values": [["", "x"]] } }), "annotations: a key is empty");
    check(json!({ "exposed_ports": { "values": ["http"] } }), "exposed_ports: \"http\" is no port");
    check(json!({ "exposed_ports": { "file": "bad.txt" } }), "bad.txt:2: \"A=1\" is no port");
    check(json!({ "volumes": { "values": ["data"] } }), "volumes: \"data\" is no volume");
    check(json!({ "created": "bad.txt" }), "created: bad.txt: ");
    check(json!({ "cmd": { "file": "binary" } }), "binary is no text file in UTF-8");
    check(json!({ "cmd": { "file": "gone" } }), "cannot read the file gone: ");
    check(json!({ "layers": ["gone.json"] }), "cannot read the layer gone.json: ");
    check(json!({ "layers": ["bad.txt"] }), "cannot understand the layer bad.txt: ");
    check(json!({ "platform": null }), "an image without a base needs a platform");
    check(
        json!({ "platform": { "os": "", "architecture": "x" } }),
        "an image without a base needs",
    );
    root.image("image", &json!({ "tars": [] }))
        .failed(2, "the spec spec.json: unknown field `tars`");
}
