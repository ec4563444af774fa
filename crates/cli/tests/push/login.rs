//! Who we are: which credential is taken, and that no secret is ever shown.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use serde_json::json;
use windlass_testkit::{
    Auth, Bearer, ImageBuilder, TestCa, TestOptions, TestRegistry, TlsOptions, TokenOptions,
    TokenServer,
};

use crate::harness::{Run, run, windlass};

const PASSWORD: &str = "correct horse battery staple";
/// `hauler:` and the password, in base64.
const PAIR: &str = "aGF1bGVyOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=";

fn guarded() -> TestRegistry {
    let auth = Auth::Basic { user: "hauler".to_owned(), password: PASSWORD.to_owned() };
    TestRegistry::start(TestOptions { auth, ..TestOptions::default() })
}

#[test]
fn a_login_comes_from_variables_flags_or_standard_input() {
    let image = ImageBuilder::new(41).layers(1, 1_000).build();
    let (registry, layout) = (guarded(), image.directory());
    let push = || {
        let mut command = windlass();
        command.arg("push").arg(layout.path()).arg("-v");
        command.arg("-r").arg(format!("{}/app", registry.host()));
        command
    };
    let no_secrets = |ran: Run| ran.never_says(PASSWORD).never_says(PAIR);
    no_secrets(run(&mut push())).ends_with(4).says("login: ").says("no credential found");

    let ran = run(push().env("WINDLASS_USERNAME", "hauler").env("WINDLASS_PASSWORD", PASSWORD));
    no_secrets(ran).ends_with(0).says("password of \"hauler\", from WINDLASS_USERNAME");

    let mut other = push();
    other.env("WINDLASS_USERNAME", "somebody else").args(["--username", "hauler"]);
    no_secrets(run(other.env("WINDLASS_PASSWORD", PASSWORD))).ends_with(0);

    let mut typed = push();
    typed.args(["--username", "hauler", "--password-stdin"]).env("WINDLASS_PASSWORD", "not this");
    typed.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = typed.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    no_secrets(child.wait_with_output().unwrap().into()).ends_with(0);

    let mut wrong = push();
    wrong.env("WINDLASS_USERNAME", "hauler").env("WINDLASS_PASSWORD", "wrong and secret");
    run(&mut wrong).ends_with(4).never_says("wrong and secret");
}

#[test]
fn a_login_is_found_where_docker_keeps_it() {
    let image = ImageBuilder::new(42).layers(1, 1_000).build();
    let (registry, layout) = (guarded(), image.directory());
    let config = json!({ "auths": { registry.host(): { "auth": PAIR } } }).to_string();
    let home = layout.beside().join("home");
    fs::create_dir_all(home.join(".docker")).unwrap();
    let file = home.join(".docker/config.json");
    fs::write(&file, &config).unwrap();
    let push = || {
        let mut command = windlass();
        command.arg("push").arg(layout.path()).arg("-v");
        command.arg("-r").arg(format!("{}/app", registry.host()));
        command
    };
    let ran = run(push().env("HOME", &home)).ends_with(0).never_says(PAIR).never_says(PASSWORD);
    ran.says(&format!("password of \"hauler\", from {}", file.display()));
    let ran = run(push().env("DOCKER_AUTH_CONFIG", config)).ends_with(0).never_says(PAIR);
    ran.says("from DOCKER_AUTH_CONFIG");
}

#[test]
fn a_password_goes_to_one_host_and_nothing_is_sent_where_there_are_two() {
    let [one, two] = [guarded(), guarded()];
    let image = ImageBuilder::new(43).layers(1, 1_000).build();
    let layout = image.directory();
    let mut command = windlass();
    command.arg("push").arg(layout.path());
    command.args(["-r", &format!("{}/app", one.host()), "-r", &format!("{}/app", two.host())]);
    command.env("WINDLASS_USERNAME", "hauler").env("WINDLASS_PASSWORD", PASSWORD);
    run(&mut command).ends_with(2).says(&one.host()).says(&two.host()).never_says(PASSWORD);
    assert!(one.log().is_empty() && two.log().is_empty());
}

#[test]
fn a_check_tells_which_credential_is_used_and_what_it_is_good_for() {
    let tokens = TokenServer::start(TokenOptions {
        users: vec![("hauler".to_owned(), PASSWORD.to_owned())],
        ..TokenOptions::default()
    });
    let auth = Auth::Bearer(Bearer::new(&tokens));
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let check = |password: &str, more: &[&str]| {
        let mut command = windlass();
        command.args(["auth", "check", &format!("{}/team/app", registry.host())]).args(more);
        command.env("WINDLASS_USERNAME", "hauler").env("WINDLASS_PASSWORD", password);
        run(&mut command).never_says(password)
    };
    let ran = check(PASSWORD, &[]).ends_with(0);
    for line in [
        &format!("repository: {}/team/app (http)", registry.host()),
        "login:      a token from ",
        "credential: password of \"hauler\", from WINDLASS_USERNAME",
        "pull:       yes",
        "push:       yes",
    ] {
        assert!(ran.stdout.contains(line), "no {line:?} in {}", ran.stdout);
    }
    assert!(!registry.has_blob("team/app", ImageBuilder::new(1).build().digest()));

    let ran = check("wrong and secret", &["--output", "json"]).ends_with(4).says("error: ");
    let ran = ran.says("hint: log in again").never_says("auth check");
    let [told] = <[_; 1]>::try_from(ran.documents()).unwrap();
    assert_eq!(told["push"]["allowed"], false);
    assert_eq!(told["credential"]["username"], "hauler");
    assert_eq!(told["login"]["kind"], "bearer");
}

#[test]
fn a_check_of_what_cannot_be_reached_says_why_once_and_claims_nothing() {
    let check = |more: &[&str]| {
        let typed = ["auth", "check", "127.0.0.1:1/app", "--retry-for", "100ms"];
        run(windlass().args(typed).args(more)).ends_with(6)
    };
    let ran = check(&[]).says("error: ");
    let told = "login:      not known\ncredential: none found\npull:       not known\npush:       not known\n";
    assert!(ran.stdout.ends_with(told), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches("refused").count(), 1, "{}", ran.stderr);
    let [told] = <[_; 1]>::try_from(check(&["--output", "json"]).documents()).unwrap();
    assert!(told["push"]["allowed"].is_null());
    assert!(told["push"]["error"].is_string());
}

#[test]
fn a_check_says_of_a_password_that_it_goes_with_each_request() {
    let registry = guarded();
    let mut command = windlass();
    command.args(["auth", "check", &format!("{}/app", registry.host())]);
    command.env("WINDLASS_USERNAME", "hauler").env("WINDLASS_PASSWORD", PASSWORD);
    let ran = run(&mut command).ends_with(0).never_says(PASSWORD);
    let line = "login:      a password with each request (Basic)\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
}

#[test]
fn a_certificate_is_trusted_where_it_was_said_so() {
    let ca = Arc::new(TestCa::new());
    let mut tls = TlsOptions::new(&ca);
    tls.wants_client_certificate = true;
    let registry = TestRegistry::start(TestOptions { tls: Some(tls), ..TestOptions::default() });
    let image = ImageBuilder::new(44).layers(1, 1_000).build();
    let layout = image.directory();
    let ours = ca.client_identity("hauler");
    let push = |with_identity: bool| {
        let mut command = windlass();
        command.arg("push").arg(layout.path()).args(["--retry-for", "1s"]);
        command.arg("-r").arg(format!("{}/app", registry.host()));
        if with_identity {
            command.arg("--cert").arg(&ours.certificate).arg("--key").arg(&ours.key);
        }
        command
    };
    run(&mut push(true)).ends_with(6).says("certificate").says("--cacert");
    run(push(false).arg("--cacert").arg(ca.pem_file())).ends_with(6);
    run(push(true).arg("--cacert").arg(ca.pem_file())).ends_with(0);
    run(push(true).arg("--insecure")).ends_with(0);
    if cfg!(target_os = "linux") {
        run(push(true).env("SSL_CERT_FILE", ca.pem_file())).ends_with(0);
    }

    let home = layout.beside().join("home");
    let folder = home.join(".config/containers/certs.d").join(registry.host());
    fs::create_dir_all(&folder).unwrap();
    fs::copy(ca.pem_file(), folder.join("ca.crt")).unwrap();
    fs::copy(&ours.certificate, folder.join("client.cert")).unwrap();
    fs::copy(&ours.key, folder.join("client.key")).unwrap();
    run(push(false).env("HOME", &home)).ends_with(0);
}

#[test]
#[cfg(target_os = "linux")]
fn insecure_takes_any_certificate_and_plain_http_where_there_is_no_tls() {
    let image = ImageBuilder::new(45).layers(1, 1_000).build();
    let layout = image.directory();
    let check = |tls: Option<TlsOptions>| {
        let registry = TestRegistry::start(TestOptions { tls, ..TestOptions::default() });
        // An address of this machine's that does not look like one.
        let host = registry.host().replace("127.0.0.1", "[::ffff:127.0.0.1]");
        let push = |more: &[&str]| {
            let mut command = windlass();
            command.arg("push").arg(layout.path()).arg("-v").args(["--retry-for", "1s"]);
            run(command.args(["-r", &format!("{host}/app")]).args(more))
        };
        push(&[]).ends_with(6).says("hint: ");
        assert!(registry.log().is_empty());
        push(&["--insecure"]).ends_with(0)
    };
    check(None).says("over plain HTTP\n");
    check(Some(TlsOptions::new(&Arc::new(TestCa::new())))).says("over HTTPS\n");
}
