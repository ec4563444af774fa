use super::*;

fn config(value: &Value) -> Config {
    Config::parse(value.to_string().as_bytes()).unwrap()
}

/// What `changes` make of the config field of a base.
#[track_caller]
fn check(base: &Value, changes: &ConfigChanges, expected: &Value) {
    let mut changed = config(&json!({ "config": base, "os": "linux" }));
    changed.apply(changes).unwrap();
    assert_eq!(Value::Object(changed.0), json!({ "config": expected, "os": "linux" }));
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|&word| word.to_owned()).collect())
}

fn variable(name: &str, value: &str) -> EnvVariable {
    EnvVariable::new(name, value).unwrap()
}

fn none() -> ConfigChanges {
    ConfigChanges::default()
}

#[test]
fn an_entrypoint_drops_the_arguments_of_the_bases() {
    let base = json!({ "Entrypoint": ["/base"], "Cmd": ["--base"], "Other": null });
    check(&base, &none(), &base);
    let changes = ConfigChanges { entrypoint: words(&["/app", ""]), ..none() };
    check(&base, &changes, &json!({ "Entrypoint": ["/app", ""], "Other": null }));
    let changes = ConfigChanges { cmd: words(&["-v"]), ..none() };
    check(&base, &changes, &json!({ "Entrypoint": ["/base"], "Cmd": ["-v"], "Other": null }));
    let changes = ConfigChanges { entrypoint: words(&[]), cmd: words(&["/bin/sh"]), ..none() };
    check(&base, &changes, &json!({ "Entrypoint": [], "Cmd": ["/bin/sh"], "Other": null }));
    let changes = ConfigChanges { cmd: words(&[]), ..none() };
    check(&base, &changes, &json!({ "Entrypoint": ["/base"], "Cmd": [], "Other": null }));
}

#[test]
fn variables_stand_over_the_bases_in_order() {
    let env = || vec![variable("PATH", "/app:$PATH"), variable("B", "2"), variable("C", "$B${A}")];
    let changes = || ConfigChanges { env: env(), ..none() };
    let base = json!({ "Env": ["PATH=/bin", "A=1"] });
    let expected = json!({ "Env": ["PATH=/app:/bin", "A=1", "B=2", "C=21"] });
    check(&base, &changes(), &expected);
    for base in [json!({}), json!({ "Env": null }), json!(null)] {
        check(&base, &changes(), &json!({ "Env": ["PATH=/app:", "B=2", "C=2"] }));
    }
}

#[test]
fn sets_and_labels_are_merged_with_the_bases() {
    let changes = || ConfigChanges {
        user: Some("nobody".to_owned()),
        workdir: Some("/app".to_owned()),
        exposed_ports: ["443/tcp", "80"].map(|port| port.parse().unwrap()).to_vec(),
        volumes: vec!["/data".parse().unwrap()],
        labels: [("a", "new"), ("c", "")].map(|(k, v)| Note::new(k, v).unwrap()).to_vec(),
        ..none()
    };
    let base = json!({
        "ExposedPorts": { "80": { "kept": true }, "22/tcp": {} },
        "Volumes": { "/var": {} },
        "Labels": { "a": "old", "b": "1" },
        "User": "root",
    });
    let expected = json!({
        "ExposedPorts": { "80": { "kept": true }, "22/tcp": {}, "443/tcp": {} },
        "Volumes": { "/var": {}, "/data": {} },
        "Labels": { "a": "new", "b": "1", "c": "" },
        "User": "nobody",
        "WorkingDir": "/app",
    });
    check(&base, &changes(), &expected);
    let expected = json!({
        "ExposedPorts": { "80": {}, "443/tcp": {} },
        "Volumes": { "/data": {} },
        "Labels": { "a": "new", "c": "" },
        "User": "nobody",
        "WorkingDir": "/app",
    });
    check(&json!({ "Labels": null, "ExposedPorts": null, "Volumes": null }), &changes(), &expected);
}

#[test]
fn the_time_is_the_bases_unless_it_is_said() {
    let mut changed = config(&json!({ "created": "2001-01-01T00:00:00Z" }));
    changed.apply(&none()).unwrap();
    assert_eq!(changed.0["created"], "2001-01-01T00:00:00Z");
    let created = Some("2024-02-29T12:00:00+01:00".parse().unwrap());
    changed.apply(&ConfigChanges { created, ..none() }).unwrap();
    assert_eq!(changed.0["created"], "2024-02-29T12:00:00+01:00");
}

#[test]
fn layers_have_their_place_in_the_history_where_it_is_one() {
    let ids = || ["one", "two"].map(|text| Digest::sha256(text.as_bytes()));
    let ours = json!({ "created": EPOCH, "created_by": "us" });
    let [layer, empty] = [json!({ "created_by": "x" }), json!({ "empty_layer": true })];
    let check = |base: Value, history: Option<Value>| {
        let mut changed = config(&base);
        let before = changed.layers().unwrap();
        changed.add_layers(ids(), "us").unwrap();
        assert_eq!(changed.layers().unwrap(), before + 2);
        assert_eq!(changed.0["rootfs"]["type"], "layers");
        assert_eq!(changed.0["rootfs"]["diff_ids"][before + 1], json!(ids()[1]));
        assert_eq!(changed.0.get("history"), history.as_ref(), "{base}");
    };
    let below = || json!({ "type": "layers", "diff_ids": ["sha256:00"] });
    check(json!({}), Some(json!([ours, ours])));
    check(json!({ "rootfs": null, "history": null }), Some(json!([ours, ours])));
    check(json!({ "history": [empty] }), Some(json!([empty, ours, ours])));
    check(
        json!({ "rootfs": below(), "history": [empty, layer, empty] }),
        Some(json!([empty, layer, empty, ours, ours])),
    );
    check(json!({ "rootfs": below() }), None);
    check(json!({ "rootfs": below(), "history": [] }), None);
    check(json!({ "rootfs": below(), "history": [layer, layer] }), Some(json!([layer, layer])));
    check(json!({ "history": [layer] }), Some(json!([layer])));
}

#[test]
fn a_platform_is_what_the_config_says() {
    let check = |base: Value, expected: Result<&str, &str>| {
        let platform = config(&base).platform().map(|platform| platform.to_string());
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(platform.map_err(|error| error.to_string()), expected);
    };
    check(json!({ "os": "linux", "architecture": "amd64" }), Ok("linux/amd64"));
    check(json!({ "os": "linux", "architecture": "arm", "variant": "v7" }), Ok("linux/arm/v7"));
    check(json!({ "os": "linux", "architecture": "arm", "variant": "" }), Ok("linux/arm"));
    check(json!({ "os": "linux", "architecture": "a", "variant": null }), Ok("linux/a"));
    check(json!({ "os": "linux" }), Err("it does not say which architecture the image is for"));
    let unsaid = Err("it does not say which operating system the image is for");
    check(json!({ "os": "", "architecture": "a" }), unsaid);
    check(json!({ "os": 1, "architecture": "a" }), Err("its os is no text"));
    check(
        json!({ "os": "a", "architecture": "a", "os.features": ["a", 1] }),
        Err("its os.features is no list of texts"),
    );
    let windows = json!({
        "os": "windows",
        "architecture": "amd64",
        "os.version": "10.0.20348.1",
        "os.features": ["win32k"],
    });
    let platform = config(&windows).platform().unwrap();
    assert_eq!(platform.os_version.as_deref(), Some("10.0.20348.1"));
    assert_eq!(platform.os_features, ["win32k"]);
}

#[test]
fn a_base_of_other_types_is_told_by_the_place() {
    let all = || ConfigChanges {
        env: vec![variable("A", "1")],
        exposed_ports: vec!["80".parse().unwrap()],
        volumes: vec!["/a".parse().unwrap()],
        labels: vec![Note::new("a", "1").unwrap()],
        ..none()
    };
    let check = |base: Value, expected: &str| {
        let mut changed = config(&base);
        let changed = changed.apply(&all()).and_then(|()| changed.add_layers([], "us"));
        assert_eq!(changed.unwrap_err().to_string(), expected);
    };
    check(json!({ "config": [] }), "its config is no JSON object");
    check(json!({ "config": { "Env": {} } }), "its config.Env is no list of texts");
    check(json!({ "config": { "Env": [1] } }), "its config.Env is no list of texts");
    let ports = json!({ "config": { "ExposedPorts": ["80"] } });
    check(ports, "its config.ExposedPorts is no JSON object");
    check(json!({ "config": { "Volumes": "/a" } }), "its config.Volumes is no JSON object");
    check(json!({ "config": { "Labels": 1 } }), "its config.Labels is no JSON object");
    check(json!({ "rootfs": [] }), "its rootfs is no JSON object");
    check(json!({ "rootfs": { "diff_ids": {} } }), "its rootfs.diff_ids is no list of texts");
    check(json!({ "history": {} }), "its history is no list");
    for text in ["", "[]", "null", "{", "\"text\""] {
        let error = Config::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("it is not the JSON of an image's config: "), "{error}");
    }
}

#[test]
fn a_config_is_the_same_bytes_whatever_order_its_base_has() {
    let one = Config::parse(br#"{"os":"linux","b":{"y":1,"x":[]},"a":null}"#).unwrap();
    let other =
        Config::parse(br#" { "a": null, "b": { "x": [], "y": 1 }, "os": "linux" } "#).unwrap();
    assert_eq!(one.to_bytes(), other.to_bytes());
    assert_eq!(one.to_bytes(), br#"{"a":null,"b":{"x":[],"y":1},"os":"linux"}"#);
}
