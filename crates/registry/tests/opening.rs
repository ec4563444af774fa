//! The folder: made, recognised, locked, tidied up, and whole after a crash.

#[cfg(test)]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Server, bytes, image};
use tempfile::TempDir;
use windlass_oci::Digest;
use windlass_registry::{Config, OpenError, Registry};

#[tokio::test]
async fn a_folder_is_made() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("deep/down");
    Registry::open(Config::new(&data)).await.unwrap();
    assert_eq!(fs::read_to_string(data.join("version")).unwrap(), "windlass-registry 1\n");
    Registry::open(Config::new(&data)).await.unwrap();
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let folder = TempDir::new().unwrap();
    let first = Registry::open(Config::new(folder.path())).await.unwrap();
    let error = Registry::open(Config::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(first);
    Registry::open(Config::new(folder.path())).await.unwrap();
}

#[tokio::test]
async fn a_folder_of_something_else_is_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("thesis.txt"), "words").unwrap();
    let error = Registry::open(Config::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains(&folder.path().display().to_string()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn another_version_is_not_touched() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("version"), "windlass-registry 2\n").unwrap();
    let error = Registry::open(Config::new(folder.path())).await.unwrap_err();
    assert!(matches!(error, OpenError::Version { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_folder_half_made_is_made_whole() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("lock"), "").unwrap();
    fs::create_dir(folder.path().join("tmp")).unwrap();
    Registry::open(Config::new(folder.path())).await.unwrap();
}

#[test]
fn everything_outlives_a_killed_server() {
    let server = Server::with(|config| config.sync = true);
    let layer = bytes(700_000, 1);
    server.push_blob("a/b", b"{}");
    let digest = server.push_blob("a/b", &layer);
    let manifest = image(b"{}", &[&layer]);
    let put = server.send_with("PUT", "/v2/a/b/manifests/v1", &[], &manifest);
    assert_eq!(put.status, 201, "{}", put.text());

    let server = Server::on(server.snapshot(), |_| {});
    assert_eq!(server.send("GET", "/v2/a/b/manifests/v1").body, manifest);
    assert_eq!(server.send("GET", &format!("/v2/a/b/blobs/{digest}")).body, layer);
    let tags = server.send("GET", "/v2/a/b/tags/list").json();
    assert_eq!(tags["tags"], serde_json::json!(["v1"]));
}

#[test]
fn what_a_crash_left_behind_is_cleared_away() {
    let server = Server::start();
    let kept = server.push_blob("a", b"kept");
    let shared = server.push_blob("a", b"shared");
    server.push_blob("b", b"shared");
    let deleted = server.push_blob("a", b"deleted");
    for digest in [&shared, &deleted] {
        assert_eq!(server.send("DELETE", &format!("/v2/a/blobs/{digest}")).status, 202);
    }
    let data = server.data();
    let content = |digest: &Digest| content(&data, digest);
    // A blob that was renamed to its place, but not yet marked as a repository's.
    let orphan = Digest::sha256(b"orphan");
    fs::create_dir_all(content(&orphan).parent().unwrap()).unwrap();
    fs::write(content(&orphan), b"orphan").unwrap();
    fs::write(data.join("tmp/.tmpxyz"), b"half a man").unwrap();
    let session = "00000000-0000-4000-8000-000000000000";
    fs::write(data.join(format!("uploads/{session}.data")), b"no record").unwrap();
    fs::write(data.join("uploads/00000000-0000-4000-8000-000000000001.json"), b"{").unwrap();

    let server = Server::on(server.stop(), |_| {});
    assert!(content(&kept).exists() && content(&shared).exists());
    assert!(!content(&deleted).exists() && !content(&orphan).exists());
    assert_eq!(fs::read_dir(data.join("tmp")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(data.join("uploads")).unwrap().count(), 0);
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{kept}")).body, b"kept");
    assert_eq!(server.send("GET", &format!("/v2/b/blobs/{shared}")).body, b"shared");
}

#[test]
fn what_somebody_took_from_the_disk_is_not_there_and_can_be_pushed_again() {
    let server = Server::start();
    let config = server.push_blob("a", b"{}");
    let layer = server.push_blob("a", b"layer");
    let manifest = image(b"{}", &[b"layer"]);
    let put = || server.send_with("PUT", "/v2/a/manifests/v1", &[], &manifest);
    assert_eq!(put().status, 201);
    let root = Digest::sha256(&manifest);

    fs::remove_file(content(&server.data(), &layer)).unwrap();
    let blob = format!("/v2/a/blobs/{layer}");
    server.send("GET", &blob).refuses(404, "BLOB_UNKNOWN");
    assert_eq!(server.send("HEAD", &blob).status, 404);
    put().refuses(400, "MANIFEST_BLOB_UNKNOWN");
    let mount = format!("/v2/b/blobs/uploads/?mount={layer}&from=a");
    assert_eq!(server.send("POST", &mount).status, 202);
    server.push_blob("a", b"layer");
    assert_eq!(server.send("GET", &blob).body, b"layer");

    fs::remove_file(content(&server.data(), &root)).unwrap();
    for name in ["v1", root.as_str()] {
        let manifest = format!("/v2/a/manifests/{name}");
        server.send("GET", &manifest).refuses(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(put().status, 201);
    assert_eq!(server.send("GET", "/v2/a/manifests/v1").body, manifest);
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{config}")).body, b"{}");
}

#[test]
fn a_server_that_is_told_to_stop_lets_requests_end() {
    let server = Server::with(|config| config.shutdown_grace = support::PATIENCE);
    let location = server.session("a");
    let blob = bytes(400_000, 2);
    let digest = Digest::sha256(&blob);
    let put = format!("{location}?digest={digest}");
    let mut connection = server.begin("PUT", &put, &[], Some(blob.len()));
    connection.write(&blob[..200_000]);
    server.wait_for_bytes(&location, 200_000);
    let stopping = std::thread::spawn(move || server.stop());
    connection.write(&blob[200_000..]);
    assert_eq!(connection.reply().status, 201);
    let server = Server::on(stopping.join().unwrap(), |_| {});
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}")).body, blob);
}

/// Where the bytes of a digest lie.
fn content(data: &Path, digest: &Digest) -> PathBuf {
    data.join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}
