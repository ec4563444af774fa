//! Pushes that go on where an earlier process was stopped. Each pusher with a journal of its own
//! stands for a process.

use std::fs;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass_push::{Interrupt, Journal, Silent};
use windlass_testkit::{
    Auth, Bearer, Call, Gate, Head, Image, ImageBuilder, Layer, Link, LinkAction, LinkFault,
    LinkOptions, LinkPoint, Logged, Modes, Sessions, TestOptions, TestRegistry, TokenOptions,
    TokenServer, on, on_any,
};

use crate::harness::*;

/// What processes share, and what one of them says of it.
struct State {
    folder: tempfile::TempDir,
    told: Arc<Mutex<Vec<String>>>,
}

impl State {
    fn new() -> State {
        State { folder: tempfile::tempdir().unwrap(), told: Arc::default() }
    }

    /// What a new process has of it.
    fn journal(&self) -> Journal {
        let told = self.told.clone();
        let listener = move |trouble: &_| told.lock().unwrap().push(format!("{trouble}"));
        Journal::new(self.folder.path().to_owned(), Arc::new(listener))
    }

    fn how(&self) -> How {
        How { journal: self.journal(), ..How::default() }
    }

    fn records(&self, kind: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("journal")) else {
            return Vec::new();
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind)).collect()
    }

    /// The only session that is kept.
    #[track_caller]
    fn session(&self) -> PathBuf {
        let [session] = self.records("upload-").try_into().unwrap();
        session
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }
}

/// Its layer goes by PUT alone.
fn small() -> Image {
    ImageBuilder::new(1).layers(1, 5_000_000).build()
}

/// Its layer is large enough to go by PATCH.
fn large() -> Image {
    ImageBuilder::new(2).layer(Layer::sparse(40 << 20)).build()
}

fn size(image: &Image) -> u64 {
    image.blobs().iter().map(|blob| blob.size).sum()
}

/// A process that is stopped when the registry has got `bytes` of a layer's body, and nothing more
/// comes. Everything else has come.
async fn stopped_after(how: &How, registry: &TestRegistry, image: &Image, bytes: u64) {
    stopped_at(how, registry, image, &[Call::UploadPut, Call::UploadPatch], bytes).await;
}

/// The same, in the first request that is one of `calls`.
async fn stopped_at(how: &How, registry: &TestRegistry, image: &Image, calls: &[Call], bytes: u64) {
    let stall = registry.fault(on_any(calls).matching(is_large).once().stall_after(bytes));
    let host = registry.host();
    let job = how.job(image, &[format!("{host}/app")], &["v1"]).await;
    let config = image.blobs().into_iter().min_by_key(|blob| blob.size).unwrap();
    let stop = async {
        let has_come = || {
            let log = registry.log();
            let stalled = log.iter().rfind(|seen| seen.fault == Some("stall"));
            stalled.is_some_and(|seen| seen.received >= bytes)
        };
        while !has_come() || !registry.has_blob("app", &config.digest) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Interrupt::Terminate
    };
    let pusher = how.pusher(&host);
    let finished = in_time(pusher.push_all(&[job], Arc::new(Silent), stop)).await;
    failure(&finished);
    assert_eq!(stall.fired(), 1);
    registry.heal();
}

/// Whether the session of the body that was stopped is cancelled. That of the config may be, where
/// the answer to its last request has not been heard.
fn is_cancelled(registry: &TestRegistry) -> bool {
    let path = |seen: &Logged| seen.path.split('?').next().unwrap().to_owned();
    let stopped = registry.log().iter().find(|seen| seen.fault == Some("stall")).map(path);
    registry.calls(Call::UploadDelete).iter().any(|seen| Some(path(seen)) == stopped)
}

fn is_large(head: &Head) -> bool {
    let length = head.headers.get("content-length").and_then(|length| length.to_str().ok());
    length.is_some_and(|length| length.parse::<u64>().unwrap() > 100_000)
}

#[tokio::test]
async fn many_processes_one_after_another_send_what_one_would() {
    for (layer, each) in [(16u64 << 20, 3u64 << 20), (40 << 20, 7 << 20)] {
        let (registry, state) = (TestRegistry::plain(), State::new());
        let image = ImageBuilder::new(3).layer(Layer::sparse(layer)).build();
        let cut = LinkFault { at: LinkPoint::Every(each), action: LinkAction::Gone };
        let options = LinkOptions { faults: vec![cut], ..LinkOptions::default() };
        let link = Link::start(registry.address(), options);
        let host = link.address().to_string();
        let mut processes = 0;
        let finished = loop {
            processes += 1;
            let how = How { retry_for: Duration::from_millis(50), ..state.how() };
            let finished = how.push(&host, &image, &["v1"]).await;
            if finished.failure.is_none() {
                break finished;
            }
            assert!(processes < 20, "no end to it: {:?}", finished.failure);
            link.back();
        };
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert!(processes > layer / each, "{processes} processes");
        assert_eq!(receipt(&finished).blobs.resumed, 1);
        // Counted where they arrive: what a link has handed on may be lost with its sockets.
        let arrived = registry.bytes_uploaded();
        assert!(arrived <= size(&image) * 105 / 100, "{arrived} of {}", size(&image));
        assert_eq!(state.records("upload-").len(), 0, "what is finished is forgotten");
        assert_eq!(state.told(), "");
    }
}

#[tokio::test]
async fn a_session_that_is_remembered_is_not_cancelled_and_another_is() {
    for image in [small(), large()] {
        let (registry, state) = (TestRegistry::plain(), State::new());
        stopped_after(&state.how(), &registry, &image, 3_000_000).await;
        assert!(!is_cancelled(&registry));
        let session = state.session();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&session), 0o600);
            assert_eq!(mode(session.parent().unwrap()), 0o700);
        }
        let finished = state.how().push(&registry.host(), &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(registry.calls(Call::UploadGet).len(), 1);
        assert_eq!(receipt(&finished).blobs.resumed, 1);
        assert_eq!(receipt(&finished).blobs.uploaded, 1);
        assert_eq!(registry.bytes_uploaded(), size(&image), "nothing that had come came again");

        let registry = TestRegistry::plain();
        stopped_after(&How::default(), &registry, &image, 3_000_000).await;
        assert!(is_cancelled(&registry));
    }
}

#[tokio::test]
async fn a_session_that_has_not_survived_is_asked_for_once_and_begun_anew() {
    for sessions in [Sessions::TurnStale, Sessions::Delete] {
        for image in [small(), large()] {
            let modes = Modes { sessions, ..Modes::default() };
            let registry = TestRegistry::start(TestOptions { modes, ..TestOptions::default() });
            let state = State::new();
            let cut = LinkFault { at: LinkPoint::Bytes(3_000_000), action: LinkAction::Gone };
            let options = LinkOptions { faults: vec![cut], ..LinkOptions::default() };
            let link = Link::start(registry.address(), options);
            let host = link.address().to_string();
            let how = How { retry_for: Duration::from_millis(50), ..state.how() };
            failure(&how.push(&host, &image, &["v1"]).await);
            // The config's may have been cut too, and is not worth a record.
            state.session();
            link.back();
            let finished = state.how().push(&host, &image, &["v1"]).await;
            assert_pushed(&finished, &registry, &image, &["v1"]);
            assert_eq!(registry.calls(Call::UploadGet).len(), 1);
            assert_eq!(receipt(&finished).blobs.resumed, 0);
            assert_eq!(state.records("upload-").len(), 0);
        }
    }
}

#[tokio::test]
async fn whatever_an_old_session_says_the_blob_that_arrives_is_right() {
    let image = small();
    for said in ["0-9999999", "0-4999999", "0-3999999", "0-99", "0-0", "1-5", "x", ""] {
        let (registry, state) = (TestRegistry::plain(), State::new());
        stopped_after(&state.how(), &registry, &image, 3_000_000).await;
        let lie = registry.fault(on(Call::UploadGet).once().with_header("range", said));
        let finished = state.how().push(&registry.host(), &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(lie.fired(), 1);
        assert!(registry.bytes_uploaded() <= 2 * size(&image) + 3_000_000, "{said}");
    }
}

#[tokio::test]
async fn whatever_an_old_session_answers_the_push_goes_on() {
    let image = small();
    for status in [200, 301, 401, 403, 404, 405, 410, 416, 500] {
        let (registry, state) = (TestRegistry::plain(), State::new());
        stopped_after(&state.how(), &registry, &image, 3_000_000).await;
        let odd = registry.fault(on(Call::UploadGet).answer(status));
        let finished = state.how().push(&registry.host(), &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert!((1..=3).contains(&odd.fired()), "{status}: asked {} times", odd.fired());
    }
}

#[tokio::test]
async fn only_the_newest_location_is_asked() {
    // Each answer of this one moves the session.
    let (registry, state) = (TestRegistry::plain(), State::new());
    registry.fault(on(Call::UploadPatch).garble(|_, reply| {
        let location = reply.headers["location"].to_str().unwrap().to_owned();
        reply.headers.insert("location", format!("{location}?moved=1").parse().unwrap());
    }));
    let image = small();
    let how = How { chunk_size: Some(1_000_000), ..state.how() };
    stopped_at(&how, &registry, &image, &[Call::UploadPut], 500_000).await;
    let how = How { chunk_size: Some(1_000_000), ..state.how() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let asked = registry.calls(Call::UploadGet);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].path.contains("moved=1"), "{}", asked[0].path);
    assert_eq!(receipt(&finished).blobs.resumed, 1);
}

#[tokio::test]
async fn a_journal_that_is_odd_is_told_and_passed_over() {
    let image = small();
    let change = |damage: &'static dyn Fn(&Path), words: &'static str| async move {
        let (registry, state) = (TestRegistry::plain(), State::new());
        stopped_after(&state.how(), &registry, &small(), 3_000_000).await;
        damage(&state.session());
        let finished = state.how().push(&registry.host(), &small(), &["v1"]).await;
        assert_pushed(&finished, &registry, &small(), &["v1"]);
        assert_eq!(receipt(&finished).blobs.resumed, 0);
        assert_eq!(registry.calls(Call::UploadGet).len(), 0);
        let told = state.told();
        assert!(told.contains(words), "{told:?} lacks {words:?}");
        assert!(!told.contains("uploads"), "a location is a secret: {told}");
    };
    let edit = |path: &Path, from: &str, to: &str| {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    let edit: &'static dyn Fn(&Path, &str, &str) = Box::leak(Box::new(edit));
    change(&|path| fs::write(path, "").unwrap(), "").await;
    change(&|path| fs::write(path, [0; 4096]).unwrap(), "damaged").await;
    change(&|path| fs::write(path, &fs::read(path).unwrap()[..70]).unwrap(), "damaged").await;
    change(Box::leak(Box::new(move |path: &Path| edit(path, " 1 ", " 2 "))), "version").await;
    change(Box::leak(Box::new(move |path: &Path| edit(path, "uploads", "upLoads"))), "damaged")
        .await;
    #[cfg(unix)]
    change(
        &|path| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        },
        "others may read it",
    )
    .await;
    // The whole folder is of no use.
    let (registry, state) = (TestRegistry::plain(), State::new());
    fs::write(state.folder.path().join("journal"), "").unwrap();
    let finished = state.how().push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(state.told.lock().unwrap().len(), 1, "{}", state.told());
}

#[tokio::test]
async fn the_session_of_another_blob_or_repository_is_left_alone() {
    let (registry, state) = (TestRegistry::plain(), State::new());
    stopped_after(&state.how(), &registry, &small(), 3_000_000).await;
    let other = ImageBuilder::new(9).layers(1, 4_000_000).build();
    let finished = state.how().push(&registry.host(), &other, &["v1"]).await;
    assert_pushed(&finished, &registry, &other, &["v1"]);
    assert_eq!(registry.calls(Call::UploadGet).len(), 0);
    // Even where a file has got into its place.
    let session = state.session();
    stopped_after(&state.how(), &registry, &large(), 3_000_000).await;
    let of_large = state.records("upload-").into_iter().find(|path| *path != session).unwrap();
    fs::copy(&session, &of_large).unwrap();
    let finished = state.how().push(&registry.host(), &large(), &["v2"]).await;
    assert_pushed(&finished, &registry, &large(), &["v2"]);
    assert_eq!(registry.calls(Call::UploadGet).len(), 0);
    assert!(state.told().contains("something else"), "{}", state.told());
    assert_eq!(state.records("upload-"), [session]);
}

#[tokio::test]
async fn two_processes_at_once_do_not_meet() {
    let (registry, state, image) = (TestRegistry::plain(), State::new(), small());
    stopped_after(&state.how(), &registry, &image, 3_000_000).await;
    let hold = Gate::new();
    registry.fault(on(Call::UploadPut).matching(is_large).once().hold_before(&hold));
    let (host, first, second) = (registry.host(), state.how(), state.how());
    let first = tokio::spawn({
        let (host, image) = (host.clone(), image.clone());
        async move { first.push(&host, &image, &["v1"]).await }
    });
    while hold.arrived() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let finished = second.push(&host, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(receipt(&finished).blobs.resumed, 0, "the session is the first one's");
    assert_eq!(registry.calls(Call::UploadGet).len(), 1);
    hold.open();
    let finished = first.await.unwrap();
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(receipt(&finished).blobs.resumed, 1);
    assert_eq!(state.records("upload-").len(), 0);
    assert_eq!(state.told(), "");
}

#[tokio::test]
async fn a_file_that_has_changed_in_between_is_found_out_and_mended() {
    let (registry, state, image) = (TestRegistry::plain(), State::new(), small());
    stopped_after(&state.how(), &registry, &image, 3_000_000).await;
    let how = state.how();
    let host = registry.host();
    let job = how.job(&image, &[format!("{host}/app")], &["v1"]).await;
    let layer = image.blobs().into_iter().max_by_key(|blob| blob.size).unwrap();
    let written = how.written.lock().unwrap()[0].path().to_owned();
    let file = written.join("blobs/sha256").join(layer.digest.hex());
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let pusher = how.pusher(&host);
    let finished = in_time(pusher.push_all(&[job], Arc::new(Silent), pending())).await;
    assert_failed(&finished, windlass_push::FailureClass::Image, layer.digest.hex());
    assert!(registry.tags_set().is_empty());
    assert_eq!(state.records("upload-").len(), 0, "nobody goes on with wrong bytes");
    let finished = state.how().push(&host, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
}

#[tokio::test]
async fn an_unchanged_image_costs_its_root_and_its_tags() {
    let (registry, state) = (TestRegistry::plain(), State::new());
    let image = ImageBuilder::new(4).layers(5, 1000).build();
    let host = registry.host();
    let requests = async |tags: &[&str]| {
        let before = registry.log().len();
        let finished = state.how().push(&host, &image, tags).await;
        assert_pushed(&finished, &registry, &image, tags);
        let log = registry.log().split_off(before);
        let heads = log.iter().filter(|seen| seen.method == "HEAD").count();
        (heads, log.len() - heads)
    };
    requests(&["v1", "v2"]).await;
    assert_eq!(requests(&["v1", "v2"]).await, (3, 0));
    assert_eq!(requests(&[]).await, (1, 0));
    // A tag is set upon nothing that is only remembered: all is asked, as if nothing were known.
    assert_eq!(requests(&["v1", "v3"]).await, (3 + 9, 1));
    assert_eq!(requests(&["v1", "v3"]).await, (3, 0));
}

#[tokio::test]
async fn an_image_that_is_known_and_not_there_any_more_is_pushed_again() {
    let (registry, state) = (TestRegistry::plain(), State::new());
    let image = ImageBuilder::new(5).layers(2, 1000).build();
    let finished = state.how().push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    // Another registry by the same name has nothing of it.
    let link = Link::start(registry.address(), LinkOptions::default());
    let host = link.address().to_string();
    let finished = state.how().push(&host, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let empty = TestRegistry::plain();
    link.point_at(empty.address());
    link.reset_all();
    let finished = state.how().push(&host, &image, &["v1"]).await;
    assert_pushed(&finished, &empty, &image, &["v1"]);
    assert_eq!(receipt(&finished).blobs.uploaded, 3);
}

#[tokio::test]
async fn what_a_host_takes_is_learned_once() {
    let modes = Modes { max_body: Some(3 << 20), ..Modes::default() };
    let registry = TestRegistry::start(TestOptions { modes, ..TestOptions::default() });
    let (state, host) = (State::new(), registry.host());
    let refused = || {
        let log = registry.log();
        log.iter().filter(|seen| seen.status == Some(413)).count()
    };
    let finished = state.how().push(&host, &small(), &["v1"]).await;
    assert_pushed(&finished, &registry, &small(), &["v1"]);
    assert!(refused() > 0);
    let before = refused();
    let other = ImageBuilder::new(9).layers(1, 4_000_000).build();
    let finished = state.how().push(&host, &other, &["v2"]).await;
    assert_pushed(&finished, &registry, &other, &["v2"]);
    assert_eq!(refused(), before);
    assert_eq!(state.records("host-").len(), 1);
    // What fails may fail for what is remembered, and is not to fail again for that.
    registry.fault(on(Call::UploadPost).refuse(400, "UNSUPPORTED", "not today"));
    let third = ImageBuilder::new(10).layers(1, 4_000_000).build();
    let finished = state.how().push(&host, &third, &["v3"]).await;
    failure(&finished);
    assert_eq!(state.records("host-").len(), 0);
}

#[tokio::test]
async fn no_password_and_no_token_is_kept() {
    const LOGIN: (&str, &str) = ("me", "open sesame");
    let tokens = TokenServer::start(TokenOptions {
        users: vec![(LOGIN.0.to_owned(), LOGIN.1.to_owned())],
        ..TokenOptions::default()
    });
    let auth = Auth::Bearer(Bearer::new(&tokens));
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let state = State::new();
    let how = How { login: Some(LOGIN), ..state.how() };
    stopped_after(&how, &registry, &small(), 3_000_000).await;
    assert!(!tokens.requests().is_empty() && tokens.issue(&[]).starts_with("token-"));
    let kept = fs::read_to_string(state.session()).unwrap();
    assert!(kept.contains("uploads"), "{kept}");
    assert!(!kept.contains("token-") && !kept.contains(LOGIN.1), "{kept}");
}
