//! Whether all of an image is there: found out, and mended by a push that looks.

use std::sync::Mutex;
use std::time::Duration;

use windlass_oci::{Digest, Reference};
use windlass_push::{
    Depth, FailureClass, Finished, FlawProblem, Job, Looked, TagStatus, Verification, verify,
};
use windlass_registry_client::RepositoryClient;
use windlass_testkit::{
    Call, Image, ImageBuilder, IndexBuilder, RealOptions, RealRegistry, TestOptions, TestRegistry,
    on,
};

use crate::harness::*;

fn index() -> Image {
    let [one, two] = [1, 2].map(|seed| ImageBuilder::new(seed).layers(2, 1000).build());
    IndexBuilder::new().child(Some("linux/amd64"), &one).child(Some("linux/arm64"), &two).build()
}

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 100_000).build()
}

async fn look_at(host: &str, root: &Reference, depth: Depth) -> Verification {
    in_time(verify(&client(host), root, None, depth, &|_| ())).await.unwrap()
}

fn client(host: &str) -> RepositoryClient {
    let how = How { retry_for: Duration::from_secs(5), ..How::default() };
    let client = how.pusher(host).client(&host.parse().unwrap());
    client.repository(format!("{host}/app").parse().unwrap())
}

async fn look(registry: &TestRegistry, image: &Image, depth: Depth) -> Verification {
    look_at(&registry.host(), &Reference::Digest(image.digest().clone()), depth).await
}

fn flaws(found: &Verification) -> Vec<String> {
    let mut flaws: Vec<_> = found.flaws.iter().map(ToString::to_string).collect();
    flaws.sort();
    flaws
}

/// Past all manners of the registry.
fn delete(registry: &TestRegistry, kind: &str, digest: &Digest) {
    let mut client = windlass_testkit::Client::new(registry.address());
    let answer = client.send("DELETE", &format!("/v2/app/{kind}/{digest}"), &[], b"").unwrap();
    assert_eq!(answer.status, 202);
}

async fn push_verified(host: &str, image: &Image, tags: &[&str]) -> Finished {
    let how = How { retry_for: Duration::from_secs(2), ..How::default() };
    let job = how.job(image, &[format!("{host}/app")], tags).await;
    in_time(how.pusher(host).push(Job { verify: true, ..job })).await
}

#[tokio::test]
async fn what_is_whole_has_no_flaw() {
    let registry = TestRegistry::plain();
    registry.seed("app", &index(), Some("v1"));
    for depth in [Depth::Sizes, Depth::Bytes] {
        let found = look(&registry, &index(), depth).await;
        assert_eq!(flaws(&found), [""; 0]);
        assert_eq!((found.manifests, found.blobs), (3, 6));
        let bytes: u64 = index().parts().iter().map(|part| part.descriptor.size).sum();
        assert_eq!(found.bytes, bytes);
    }
    let by_tag = Reference::Tag("v1".parse().unwrap());
    let found = look_at(&registry.host(), &by_tag, Depth::Sizes).await;
    assert_eq!(found.digest.as_ref(), Some(index().digest()));
    // Nothing is read that need not be.
    assert_eq!(registry.calls(Call::BlobGet).len(), 6);
}

#[tokio::test]
async fn how_far_it_is_is_told_on_the_way() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(3, 500_000).build();
    registry.seed("app", &image, None);
    let root = Reference::Digest(image.digest().clone());
    for depth in [Depth::Sizes, Depth::Bytes] {
        let told = Mutex::new(Vec::new());
        let watcher = |looked: Looked| told.lock().unwrap().push(looked);
        let (client, host) = (client(&registry.host()), registry.host());
        in_time(verify(&client, &root, None, depth, &watcher)).await.unwrap();
        let told = told.into_inner().unwrap();
        let (first, last) = (told[0], *told.last().unwrap());
        let found = look_at(&host, &root, depth).await;
        let all = found.manifests + found.blobs;
        assert_eq!((first.done, first.known, first.bytes), (1, all, found.bytes));
        let end = Looked { done: all, known: all, read: found.bytes, bytes: found.bytes };
        assert_eq!(last, end);
        assert!(told.is_sorted_by_key(|looked| (looked.done, looked.read)), "{told:?}");
        // Not only once for each blob, where they are read.
        let is_often = told.len() as u64 > all + 3;
        assert_eq!(is_often, depth == Depth::Bytes, "{}", told.len());
    }
}

#[tokio::test]
async fn more_manifests_than_are_looked_at_are_an_error() {
    let registry = TestRegistry::plain();
    let children: Vec<String> = (0..100_000)
        .map(|number| {
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{number:064x}","size":1}}"#)
        })
        .collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let children = children.join(",");
    let index =
        format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{children}]}}"#);
    let digest = Digest::sha256(index.as_bytes());
    let answer = on(Call::ManifestGet).answer(200).body(index);
    registry.fault(answer.header("content-type", media_type));
    let root = Reference::Digest(digest);
    let client = client(&registry.host());
    let looked = in_time(verify(&client, &root, None, Depth::Sizes, &|_| ())).await;
    let failure = looked.unwrap_err();
    assert_eq!(failure.class(), FailureClass::Image);
    assert!(failure.to_string().contains("more than 100000 manifests"), "{failure}");
    // It was known before any of them was asked for.
    assert_eq!(registry.log().len(), 1);
}

#[tokio::test]
async fn what_is_missing_is_named_and_a_push_that_looks_sends_it() {
    let registry = TestRegistry::plain();
    let image = index();
    registry.seed("app", &image, None);
    let (blob, manifest) = (image.blobs()[1].digest.clone(), image.manifests()[0].digest.clone());
    delete(&registry, "blobs", &blob);
    delete(&registry, "manifests", &manifest);
    let found = look(&registry, &image, Depth::Sizes).await;
    assert_eq!(flaws(&found), [format!("manifest {manifest} is missing")]);

    // One that trusts the root sets the tag on it; this one does not.
    let finished = push_verified(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(receipt(&finished).verified, Some(true));
    assert_eq!((receipt(&finished).blobs.uploaded, receipt(&finished).blobs.present), (1, 5));
    assert_eq!(flaws(&look(&registry, &image, Depth::Bytes).await), [""; 0]);

    // Where nothing is missing nothing is sent.
    let again = push_verified(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&again, &registry, &image, &["v1"]);
    assert_eq!((receipt(&again).bytes.sent, receipt(&again).manifests.uploaded), (0, 0));
    assert_eq!(tags(&again), [TagStatus::Unchanged]);
}

#[tokio::test]
async fn what_has_other_bytes_or_another_size_is_found() {
    let registry = TestRegistry::plain();
    let image = image();
    registry.seed("app", &image, None);
    let (one, two) = (&image.blobs()[0], &image.blobs()[1]);
    let size = on(Call::BlobHead).digest(&one.digest);
    registry.fault(size.with_header("content-length", "7"));
    let mut wrong = image.bytes(&two.digest).to_vec();
    wrong[500] ^= 1;
    let found = Digest::sha256(&wrong);
    registry.fault(on(Call::BlobGet).digest(&two.digest).garble(move |_, reply| {
        reply.body = wrong.clone().into();
    }));
    let sizes = look(&registry, &image, Depth::Sizes).await;
    let problem = FlawProblem::Size { expected: one.size, found: 7 };
    assert_eq!(sizes.flaws.iter().map(|it| &it.problem).collect::<Vec<_>>(), [&problem]);
    let bytes = look(&registry, &image, Depth::Bytes).await;
    let problem = FlawProblem::Digest { found };
    assert_eq!(bytes.flaws.iter().map(|it| &it.problem).collect::<Vec<_>>(), [&problem]);
}

#[tokio::test]
async fn a_read_that_breaks_goes_on_where_it_broke() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(1, 3_000_000).build();
    registry.seed("app", &image, None);
    let layer = image.blobs().into_iter().max_by_key(|blob| blob.size).unwrap();
    let bytes = image.bytes(&layer.digest);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
    let half = [head.as_bytes(), &bytes[..1_500_000]].concat();
    let broken = registry.fault(on(Call::BlobGet).digest(&layer.digest).once().raw(half));
    let found = look(&registry, &image, Depth::Bytes).await;
    assert_eq!(flaws(&found), [""; 0]);
    assert_eq!(broken.fired(), 1);
    let gets = registry.calls(Call::BlobGet);
    let statuses: Vec<_> = gets
        .iter()
        .filter(|logged| logged.path.contains(layer.digest.as_str()))
        .map(|logged| logged.status)
        .collect();
    assert_eq!(statuses.last(), Some(&Some(206)), "{statuses:?}");
    // One that gives no parts is read from its start.
    let broken = registry.fault(
        on(Call::BlobGet)
            .digest(&layer.digest)
            .once()
            .raw([head.as_bytes(), &bytes[..1_500_000]].concat()),
    );
    registry.fault(on(Call::BlobGet).digest(&layer.digest).answer(200).body(bytes));
    let found = look(&registry, &image, Depth::Bytes).await;
    assert_eq!((flaws(&found), broken.fired()), (Vec::new(), 1));
}

#[tokio::test]
async fn a_registry_that_loses_what_it_took_gets_no_tag() {
    let registry =
        TestRegistry::start(TestOptions { refuses_incomplete: false, ..TestOptions::default() });
    let image = image();
    let lost = &image.blobs()[1].digest;
    registry.fault(on(Call::BlobHead).digest(lost).answer(404));
    registry.fault(on(Call::BlobGet).digest(lost).answer(404));
    let finished = push_verified(&registry.host(), &image, &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "is missing");
    assert_eq!(receipt(&finished).verified, Some(false));
    assert!(registry.tags_set().is_empty());
}

#[tokio::test]
async fn a_tag_that_is_not_set_after_all_is_told() {
    let registry = TestRegistry::plain();
    let other = Digest::sha256(b"other");
    let astray = on(Call::ManifestHead).tag("v1").skip(1);
    registry.fault(astray.with_header("docker-content-digest", other.as_str()));
    let finished = push_verified(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Tag, "does not name the image");
}

#[tokio::test]
async fn a_file_that_is_not_what_it_is_called_is_found_before_a_byte_leaves() {
    let registry = TestRegistry::plain();
    // Large enough not to be read otherwise.
    let image = ImageBuilder::new(1).layers(1, 3_000_000).build();
    let how = How::default();
    let job = how.job(&image, &[format!("{}/app", registry.host())], &["v1"]).await;
    let layer = image.blobs().into_iter().max_by_key(|blob| blob.size).unwrap();
    let file = how.written.lock().unwrap()[0].blob(&layer.digest);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[2_000_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let pusher = how.pusher(&registry.host());
    let finished = in_time(pusher.push(Job { verify: true, ..job })).await;
    assert_failed(&finished, FailureClass::Image, layer.digest.as_str());
    assert!(registry.log().is_empty());
}

#[tokio::test]
async fn with_docker_registry_what_was_pushed_is_whole() {
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let finished = push_verified(&registry.host(), &index(), &["v1"]).await;
    assert!(finished.failure.is_none());
    assert_eq!(receipt(&finished).verified, Some(true));
    let root = Reference::Tag("v1".parse().unwrap());
    let found = look_at(&registry.host(), &root, Depth::Bytes).await;
    assert_eq!((flaws(&found), found.blobs), (Vec::new(), 6));
}
