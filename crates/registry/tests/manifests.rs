//! Manifests, tags, referrers and lists.

#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise, too")]

#[cfg(test)]
mod support;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Server, image, name};
use windlass_oci::{Algorithm, Descriptor, Digest, MediaType};

const MANIFEST: (&str, &str) = ("content-type", "application/vnd.oci.image.manifest.v1+json");
const INDEX: (&str, &str) = ("content-type", "application/vnd.oci.image.index.v1+json");

/// Pushes an image's blobs; its manifest.
fn push_parts(server: &Server, repository: &str, layer: &[u8]) -> Vec<u8> {
    server.push_blob(repository, b"{}");
    server.push_blob(repository, layer);
    image(b"{}", &[layer])
}

fn put(server: &Server, path: &str, bytes: &[u8]) -> support::Reply {
    server.send_with("PUT", path, &[MANIFEST], bytes)
}

fn artifact(subject: &Descriptor, artifact_type: &str) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": Descriptor::of(MediaType::OCI_EMPTY, b"{}"),
        "layers": [],
        "subject": subject,
        "annotations": { "a": "b" },
    });
    serde_json::to_vec(&manifest).unwrap()
}

fn index(children: &[Descriptor]) -> Vec<u8> {
    let index = json!({ "schemaVersion": 2, "manifests": children });
    serde_json::to_vec(&index).unwrap()
}

#[test]
fn an_image_is_put_by_tag_and_pulled() {
    let server = Server::start();
    let manifest = push_parts(&server, "a", b"layer");
    let digest = Digest::sha256(&manifest);
    let reply = put(&server, "/v2/a/manifests/v1", &manifest);
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("location"), Some(&*format!("/v2/a/manifests/{digest}")));
    assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
    assert_eq!(reply.header("oci-subject"), None);

    for reference in ["v1", digest.as_str()] {
        let path = format!("/v2/a/manifests/{reference}");
        let got = server.send("GET", &path);
        assert_eq!((got.status, &got.body), (200, &manifest));
        let head = server.send("HEAD", &path);
        for reply in [&got, &head] {
            assert_eq!(reply.header("content-type"), Some(MANIFEST.1));
            assert_eq!(reply.header("docker-content-digest"), Some(digest.as_str()));
            assert_eq!(reply.header("content-length"), Some(&*manifest.len().to_string()));
        }
    }
    let store = server.registry().store();
    assert_eq!(store.tag(&name("a"), &"v1".parse().unwrap()).unwrap(), Some(digest.clone()));
    assert_eq!(store.manifest(&name("a"), &digest).unwrap().unwrap().bytes(), &manifest);
}

#[test]
fn bytes_are_kept_as_they_came() {
    let server = Server::start();
    push_parts(&server, "a", b"layer");
    let compact = String::from_utf8(image(b"{}", &[b"layer"])).unwrap();
    let odd = format!(" \n{}\t\n", compact.replacen('{', "{ \"unknown\": [1.0], ", 1));
    assert_eq!(put(&server, "/v2/a/manifests/v1", odd.as_bytes()).status, 201);
    assert_eq!(server.send("GET", "/v2/a/manifests/v1").body, odd.as_bytes());
}

#[test]
fn a_manifest_without_its_parts_is_refused() {
    let server = Server::start();
    server.push_blob("b", b"layer");
    let manifest = image(b"{}", &[b"layer", b"layer"]);
    let reply = put(&server, "/v2/a/manifests/v1", &manifest);
    reply.refuses(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = reply.json();
    let missing = errors["errors"].as_array().unwrap();
    let digests: Vec<&Value> = missing.iter().map(|error| &error["detail"]["digest"]).collect();
    let expected = [Digest::sha256(b"{}"), Digest::sha256(b"layer")];
    assert_eq!(
        digests,
        expected.iter().map(|digest| json!(digest)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    server.send("GET", "/v2/a/manifests/v1").refuses(404, "NAME_UNKNOWN");

    server.push_blob("a", b"{}");
    server.push_blob("a", b"layer");
    assert_eq!(put(&server, "/v2/a/manifests/v1", &manifest).status, 201);
}

#[test]
fn an_index_needs_its_manifests_and_a_build_cache_its_blobs() {
    let server = Server::start();
    let child = push_parts(&server, "a", b"layer");
    let child_descriptor = Descriptor::of(MediaType::OCI_MANIFEST, &child);
    let cache = Descriptor::of(MediaType::OCI_LAYER, b"layer");
    let bytes = index(&[child_descriptor.clone(), cache]);
    let path = "/v2/a/manifests/v1";
    let reply = server.send_with("PUT", path, &[INDEX], &bytes);
    reply.refuses(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(reply.json()["errors"][0]["detail"]["digest"], json!(child_descriptor.digest));
    put(&server, &format!("/v2/a/manifests/{}", child_descriptor.digest), &child);
    assert_eq!(server.send_with("PUT", path, &[INDEX], &bytes).status, 201);
    // A manifest is not a blob that an index may name as one in its stead.
    let as_blob = index(&[Descriptor::of(MediaType::OCI_MANIFEST, b"layer")]);
    server.send_with("PUT", path, &[INDEX], &as_blob).refuses(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn foreign_layers_stay_where_they_are() {
    let server = Server::start();
    server.push_blob("a", b"{}");
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let manifest = String::from_utf8(image(b"{}", &[b"elsewhere"])).unwrap();
    let manifest = manifest.replace(MediaType::OCI_LAYER.as_str(), foreign);
    assert_eq!(put(&server, "/v2/a/manifests/v1", manifest.as_bytes()).status, 201);
}

#[test]
fn a_test_server_may_take_what_is_incomplete() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let manifest = image(b"{}", &[b"layer"]);
    assert_eq!(put(&server, "/v2/a/manifests/v1", &manifest).status, 201);
}

#[test]
fn what_is_no_manifest_is_refused() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let good = image(b"{}", &[]);
    let path = "/v2/a/manifests/v1";
    let send = |content_type: &str, bytes: &[u8]| {
        server.send_with("PUT", path, &[("content-type", content_type)], bytes)
    };
    send(MANIFEST.1, b"no json").refuses(400, "MANIFEST_INVALID");
    send(MANIFEST.1, b"{}").refuses(400, "MANIFEST_INVALID");
    send(INDEX.1, &good).refuses(400, "MANIFEST_INVALID");
    send("application/vnd.docker.distribution.manifest.v1+json", &good)
        .refuses(400, "MANIFEST_INVALID");
    server.send_with("PUT", path, &[], b"{}").refuses(400, "MANIFEST_INVALID");
    server.send("GET", path).refuses(404, "NAME_UNKNOWN");

    assert_eq!(send(&format!("{}; charset=utf-8", MANIFEST.1), &good).status, 201);
    // Its own word is enough where the header says nothing.
    assert_eq!(server.send_with("PUT", path, &[], &good).status, 201);
    assert_eq!(server.send("GET", path).header("content-type"), Some(MANIFEST.1));
}

#[test]
fn a_digest_in_the_address_must_be_right() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let manifest = image(b"{}", &[]);
    for other in [Digest::sha256(b"x"), Digest::of(Algorithm::Sha512, b"x")] {
        let path = format!("/v2/a/manifests/{other}");
        put(&server, &path, &manifest).refuses(400, "DIGEST_INVALID");
    }
    put(&server, "/v2/a/manifests/sha256:12", &manifest).refuses(400, "DIGEST_INVALID");
    put(&server, "/v2/a/manifests/.x", &manifest).refuses(400, "TAG_INVALID");

    let digest = Digest::of(Algorithm::Sha512, &manifest);
    let path = format!("/v2/a/manifests/{digest}?tag=v1");
    assert_eq!(put(&server, &path, &manifest).status, 201);
    let got = server.send("GET", "/v2/a/manifests/v1");
    assert_eq!(got.header("docker-content-digest"), Some(digest.as_str()));
    assert_eq!(got.body, manifest);
}

#[test]
fn a_manifest_that_is_too_long_is_refused() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let filled = |size: usize| {
        let padding = "x".repeat(size);
        let manifest = String::from_utf8(image(b"{}", &[])).unwrap();
        manifest.replacen('{', &format!("{{\"annotations\":{{\"a\":\"{padding}\"}},"), 1)
    };
    let path = "/v2/a/manifests/v1";
    assert_eq!(put(&server, path, filled(4_000_000).as_bytes()).status, 201);
    let long = filled(5_000_000);
    let headers = [MANIFEST, ("expect", "100-continue")];
    let reply = server.begin("PUT", path, &headers, Some(long.len())).reply();
    reply.refuses(413, "SIZE_INVALID");
    assert!(!reply.continued);
    // One that does not say how long it is.
    let mut connection = server.begin("PUT", path, &[MANIFEST], None);
    for part in long.as_bytes().chunks(100_000) {
        connection.write_chunk(part);
    }
    connection.write_chunk(b"");
    connection.reply().refuses(413, "SIZE_INVALID");
}

#[test]
fn many_tags_are_set_in_one_request() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let manifest = image(b"{}", &[]);
    let digest = Digest::sha256(&manifest);
    let reply = put(&server, &format!("/v2/a/manifests/{digest}?tag=b&tag=a&tag=b"), &manifest);
    assert_eq!((reply.status, reply.headers("oci-tag")), (201, vec!["b", "a"]));
    for tag in ["a", "b"] {
        assert_eq!(server.send("GET", &format!("/v2/a/manifests/{tag}")).body, manifest);
    }
    let path = format!("/v2/a/manifests/{digest}?tag=c&tag=-");
    put(&server, &path, &manifest).refuses(400, "TAG_INVALID");
    assert_eq!(server.send("GET", "/v2/a/manifests/c").status, 404);
    let many: String = (0..101).map(|index| format!("&tag=t{index}")).collect();
    let path = format!("/v2/a/manifests/{digest}?{many}");
    put(&server, &path, &manifest).refuses(414, "UNSUPPORTED");
}

#[test]
fn a_tag_moves_and_goes() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let (one, two) = (image(b"1", &[]), image(b"2", &[]));
    put(&server, "/v2/a/manifests/v1", &one);
    put(&server, "/v2/a/manifests/v1", &two);
    assert_eq!(server.send("GET", "/v2/a/manifests/v1").body, two);
    let first = format!("/v2/a/manifests/{}", Digest::sha256(&one));
    assert_eq!(server.send("GET", &first).body, one);

    assert_eq!(server.send("DELETE", "/v2/a/manifests/v1").status, 202);
    server.send("GET", "/v2/a/manifests/v1").refuses(404, "MANIFEST_UNKNOWN");
    server.send("DELETE", "/v2/a/manifests/v1").refuses(404, "MANIFEST_UNKNOWN");
    let second = format!("/v2/a/manifests/{}", Digest::sha256(&two));
    assert_eq!(server.send("GET", &second).status, 200);

    put(&server, "/v2/a/manifests/v2", &two);
    put(&server, "/v2/a/manifests/v1", &one);
    assert_eq!(server.send("DELETE", &second).status, 202);
    server.send("GET", &second).refuses(404, "MANIFEST_UNKNOWN");
    server.send("GET", "/v2/a/manifests/v2").refuses(404, "MANIFEST_UNKNOWN");
    assert_eq!(
        server.send("GET", "/v2/a/tags/list").json(),
        json!({ "name": "a", "tags": ["v1"] })
    );
    server.send("DELETE", &second).refuses(404, "MANIFEST_UNKNOWN");
    server.send("GET", "/v2/a/manifests/.none").refuses(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_tag_always_names_something_while_it_moves() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let manifests = [image(b"1", &[]), image(b"2", &[])];
    put(&server, "/v2/a/manifests/v1", &manifests[0]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for index in 0..100 {
                let reply = put(&server, "/v2/a/manifests/v1", &manifests[index % 2]);
                assert_eq!(reply.status, 201);
            }
        });
        while !writer.is_finished() {
            let got = server.send("GET", "/v2/a/manifests/v1");
            assert!(got.status == 200 && manifests.contains(&got.body), "{}", got.status);
        }
    });
}

#[test]
fn a_tag_is_seen_by_the_observer_before_by_anyone() {
    type Seen = (String, Digest, Option<Digest>, bool, Option<Digest>);
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let record = seen.clone();
    let server = Server::with(|config| {
        config.on_tag = Some(Arc::new(move |write| {
            let (repository, store) = (write.repository, write.store);
            let complete = store.manifest_exists(repository, write.digest).unwrap()
                && store.blob_exists(repository, &Digest::sha256(b"{}")).unwrap();
            record.lock().unwrap().push((
                write.tag.to_string(),
                write.digest.clone(),
                write.previous.cloned(),
                complete,
                store.tag(repository, write.tag).unwrap(),
            ));
        }));
    });
    let (one, two) = (push_parts(&server, "a", b"1"), push_parts(&server, "a", b"2"));
    let (first, second) = (Digest::sha256(&one), Digest::sha256(&two));
    put(&server, "/v2/a/manifests/v1", &one);
    put(&server, &format!("/v2/a/manifests/{second}"), &two);
    put(&server, "/v2/a/manifests/v1", &two);
    let expected = [
        ("v1".to_owned(), first.clone(), None, true, None),
        ("v1".to_owned(), second, Some(first.clone()), true, Some(first)),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn referrers_are_found_by_their_subject() {
    let server = Server::start();
    server.push_blob("a", b"{}");
    let subject_bytes = image(b"{}", &[]);
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, &subject_bytes);
    let list = |query: &str| {
        let path = format!("/v2/a/referrers/{}{query}", subject.digest);
        let reply = server.send("GET", &path);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(INDEX.1)));
        reply
    };
    assert_eq!(list("").json()["manifests"], json!([]));

    // The subject need not be there.
    let (signature, sbom) = (artifact(&subject, "a/signature"), artifact(&subject, "a/sbom+json"));
    for manifest in [&signature, &sbom, &signature] {
        let reply =
            put(&server, &format!("/v2/a/manifests/{}", Digest::sha256(manifest)), manifest);
        assert_eq!(reply.status, 201, "{}", reply.text());
        assert_eq!(reply.header("oci-subject"), Some(subject.digest.as_str()));
    }
    assert_eq!(list("").json()["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(list("").header("oci-filters-applied"), None);
    for query in ["?artifactType=a/sbom%2Bjson", "?artifactType=a/sbom+json"] {
        let filtered = list(query);
        assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
        assert_eq!(
            filtered.json()["manifests"],
            json!([{
                "mediaType": MediaType::OCI_MANIFEST,
                "digest": Digest::sha256(&sbom),
                "size": sbom.len(),
                "artifactType": "a/sbom+json",
                "annotations": { "a": "b" },
            }])
        );
    }
    assert_eq!(
        server.send("GET", &format!("/v2/b/referrers/{}", subject.digest)).json()["manifests"],
        json!([])
    );
    server.send("GET", "/v2/a/referrers/x").refuses(400, "DIGEST_INVALID");

    let path = format!("/v2/a/manifests/{}", Digest::sha256(&sbom));
    assert_eq!(server.send("DELETE", &path).status, 202);
    assert_eq!(list("").json()["manifests"][0]["digest"], json!(Digest::sha256(&signature)));
    assert_eq!(list("").json()["manifests"].as_array().unwrap().len(), 1);
}

#[test]
fn a_referrer_without_a_type_has_its_configs() {
    let server = Server::with(|config| config.accept_incomplete = true);
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"subject");
    let mut manifest: Value = serde_json::from_slice(&image(b"{}", &[])).unwrap();
    manifest["subject"] = json!(subject);
    let plain = json!({ "manifests": [], "subject": subject });
    for (content_type, value) in [(MANIFEST, &manifest), (INDEX, &plain)] {
        let bytes = value.to_string().into_bytes();
        let path = format!("/v2/a/manifests/{}", Digest::sha256(&bytes));
        assert_eq!(server.send_with("PUT", &path, &[content_type], &bytes).status, 201);
    }
    let list = server.send("GET", &format!("/v2/a/referrers/{}", subject.digest)).json();
    let mut types: Vec<&Value> =
        list["manifests"].as_array().unwrap().iter().map(|entry| &entry["artifactType"]).collect();
    types.sort_by_key(ToString::to_string);
    assert_eq!(types, [&json!(MediaType::OCI_CONFIG), &Value::Null]);
}

#[test]
fn tags_are_listed_in_pages() {
    let server = Server::with(|config| config.accept_incomplete = true);
    server.send("GET", "/v2/a/tags/list").refuses(404, "NAME_UNKNOWN");
    let manifest = image(b"{}", &[]);
    let digest = Digest::sha256(&manifest);
    put(&server, &format!("/v2/a/manifests/{digest}"), &manifest);
    assert_eq!(server.send("GET", "/v2/a/tags/list").json(), json!({ "name": "a", "tags": [] }));
    put(&server, &format!("/v2/a/manifests/{digest}?tag=b&tag=B&tag=a&tag=c"), &manifest);
    let all = server.send("GET", "/v2/a/tags/list");
    assert_eq!(all.json()["tags"], json!(["B", "a", "b", "c"]));
    assert_eq!(all.header("link"), None);
    let page = server.send("GET", "/v2/a/tags/list?n=3");
    assert_eq!(page.json()["tags"], json!(["B", "a", "b"]));
    assert_eq!(page.header("link"), Some("</v2/a/tags/list?n=3&last=b>; rel=\"next\""));
    let page = server.send("GET", "/v2/a/tags/list?n=3&last=b");
    assert_eq!((page.json()["tags"].clone(), page.header("link")), (json!(["c"]), None));
    server.send("GET", "/v2/a/tags/list?n=x").refuses(400, "PAGINATION_NUMBER_INVALID");
}

#[test]
fn repositories_are_listed_in_pages() {
    let server = Server::start();
    assert_eq!(server.send("GET", "/v2/_catalog").json(), json!({ "repositories": [] }));
    for repository in ["b/c", "b", "a-b", "a/b/c"] {
        server.push_blob(repository, b"blob");
    }
    server.session("never-finished");
    let all = server.send("GET", "/v2/_catalog").json();
    assert_eq!(all["repositories"], json!(["a-b", "a/b/c", "b", "b/c"]));
    let page = server.send("GET", "/v2/_catalog?n=2&last=a-b");
    assert_eq!(page.json()["repositories"], json!(["a/b/c", "b"]));
    assert_eq!(page.header("link"), Some("</v2/_catalog?n=2&last=b>; rel=\"next\""));
}

#[test]
fn a_tag_is_set_only_where_its_condition_holds() {
    let server = Server::start();
    let (one, two) = (push_parts(&server, "a", b"one"), push_parts(&server, "a", b"two"));
    let put = |bytes: &[u8], name: &str, value: &str| {
        let headers = [MANIFEST, (name, value)];
        server.send_with("PUT", "/v2/a/manifests/v1", &headers, bytes).status
    };
    let etag = |bytes: &[u8]| format!("\"{}\"", Digest::sha256(bytes));
    assert_eq!(put(&one, "if-match", "*"), 412);
    assert_eq!(put(&one, "if-match", &etag(&one)), 412);
    assert_eq!(put(&one, "if-none-match", "*"), 201);
    assert_eq!(put(&two, "if-none-match", "*"), 412);
    assert_eq!(put(&two, "if-match", &etag(&two)), 412);
    assert_eq!(server.send("GET", "/v2/a/manifests/v1").body, one);
    assert_eq!(put(&two, "if-match", &etag(&one)), 201);
    assert_eq!(server.send("GET", "/v2/a/manifests/v1").body, two);
    assert_eq!(put(&two, "if-none-match", &etag(&two)), 412);
}
