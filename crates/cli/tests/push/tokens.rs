//! Pushes that take many times as long as a token is good. They take half a minute each, so
//! `ci/real-parts` runs them and nobody else; what is quick stands beside the login's other tests.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use windlass_testkit::{
    Auth, Bearer, Call, Image, ImageBuilder, Layer, Link, LinkOptions, RealOptions, RealRegistry,
    Signer, TestCa, TestOptions, TestRegistry, TlsOptions, TokenOptions, TokenServer,
};

use crate::harness::{Run, run, windlass};

const PASSWORD: &str = "a long-ish passphrase";
/// How long a token is good.
const LIFETIME: Duration = Duration::from_secs(2);
/// How many bytes go through each connection a second: the largest layer takes half a minute.
const RATE: u64 = 800 << 10;

#[test]
fn tokens_of_two_seconds_are_renewed_for_half_a_minute() {
    if !is_wanted() {
        return;
    }
    let ca = Arc::new(TestCa::new());
    let tokens = tokens(&ca, TokenOptions::default());
    let registry = TestRegistry::start(TestOptions {
        auth: Auth::Bearer(Bearer::new(&tokens)),
        tls: Some(TlsOptions::new(&ca)),
        ..TestOptions::default()
    });
    let (image, link) = (image(), slow(&registry.address()));
    push(&image, &ca, &link).ends_with(0);

    assert_eq!(registry.tag("app", "v1").as_ref(), Some(image.digest()));
    let blobs = image.blobs();
    assert_eq!(registry.calls(Call::UploadPost).len(), blobs.len(), "a blob was begun anew");
    renewed(&tokens);
    let size: u64 = blobs.iter().map(|blob| blob.size).sum();
    let sent = link.report().bytes_up;
    assert!(sent <= size * 105 / 100, "{sent} bytes for {size}");
}

/// It takes tokens for a minute after their end, so these have ended 58 seconds before.
#[test]
fn tokens_of_two_seconds_are_renewed_at_docker_registry() {
    if !is_wanted() {
        return;
    }
    let ca = Arc::new(TestCa::new());
    let signer = Some(Arc::new(Signer::new(&ca)));
    let backdated = Duration::from_secs(60);
    let tokens = tokens(&ca, TokenOptions { signer, backdated, ..TokenOptions::default() });
    let Some(registry) = RealRegistry::start(&RealOptions {
        tokens: Some(tokens.clone()),
        tls: Some(TlsOptions::new(&ca)),
        ..RealOptions::default()
    }) else {
        return;
    };
    let (image, link) = (image(), slow(&registry.address()));
    push(&image, &ca, &link).ends_with(0);

    let log = registry.log(0);
    let sessions = log.iter().filter(|it| it.method == "POST" && it.status == 202).count();
    assert_eq!(sessions, image.blobs().len(), "a blob was begun anew");
    // It reads up to 256 KiB of a body that it refuses, so those go twice.
    renewed(&tokens);
}

/// Half a minute is too long for everybody's everyday round.
#[expect(clippy::print_stdout, reason = "a test that tests nothing must not look like success")]
fn is_wanted() -> bool {
    let is_wanted = std::env::var_os("WINDLASS_REAL_PARTS").is_some_and(|value| value == "1");
    if !is_wanted {
        println!("skipped: WINDLASS_REAL_PARTS is not 1; see ci/real-parts");
    }
    is_wanted
}

#[track_caller]
fn renewed(tokens: &TokenServer) {
    let given = tokens.requests().len();
    assert!(given >= 10, "{given} tokens are not enough for half a minute");
}

fn tokens(ca: &Arc<TestCa>, options: TokenOptions) -> TokenServer {
    let users = vec![("hauler".to_owned(), PASSWORD.to_owned())];
    let options = TokenOptions { users, lifetime: LIFETIME, ..options };
    TokenServer::start_tls(options, &TlsOptions::new(ca))
}

fn image() -> Image {
    let layers = [24u64, 16, 12, 6, 2].map(|size| size << 20);
    let with = |image: ImageBuilder, size| image.layer(Layer::seeded(size, size));
    layers.into_iter().fold(ImageBuilder::new(90), with).build()
}

fn slow(registry: &std::net::SocketAddr) -> Link {
    Link::start(*registry, LinkOptions { rate: Some(RATE), ..LinkOptions::default() })
}

/// In many requests, each of which needs a token that is good.
fn push(image: &Image, ca: &Arc<TestCa>, link: &Link) -> Run {
    let layout = image.directory();
    let mut command: Command = windlass();
    command.arg("push").arg(layout.path()).args(["-t", "v1", "--chunk-size", "1M"]);
    command.args(["-r", &format!("{}/app", link.address())]).arg("--cacert").arg(ca.pem_file());
    command.env("WINDLASS_USERNAME", "hauler").env("WINDLASS_PASSWORD", PASSWORD);
    run(&mut command).never_says(PASSWORD)
}
