//! How registries are reached, and who we are there.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use windlass_oci::Registry;
use windlass_push::{Journal, PusherOptions};
use windlass_registry_client::auth::{
    ConfigFiles, ConfigPlaces, Credential, CredentialChain, CredentialProvider, FixedCredential,
    Helpers, Origin, Secret,
};
use windlass_registry_client::http::{AcceptInvalid, Http, HttpConfig, Proxies, TlsConfig};
use windlass_registry_client::{ClientOptions, Transport};

use super::Environment;
use crate::args::ConnectionArgs;
use crate::duration;
use crate::login::Told;
use crate::output::Output;
use crate::problem::Problem;
use crate::retries;

/// How much is sent to a registry at once, and in how large pieces; `None` for what is usual.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Bodies in flight.
    pub(crate) jobs: Option<usize>,
    /// The most bytes of one body.
    pub(crate) chunk_size: Option<u64>,
}

/// A password is a line.
const LONGEST_PASSWORD: u64 = 64 << 10;

/// All that a pusher needs to talk to `hosts`. Reads standard input where the password is there.
pub(crate) fn pusher_options(
    args: &ConnectionArgs,
    load: Load,
    hosts: &BTreeSet<Registry>,
    environment: &Environment,
    output: &Output,
) -> Result<PusherOptions, Problem> {
    let http = http_config(args, environment)?;
    let defaults = ClientOptions::default();
    let retry_for = match args.retry_for {
        Some(retry_for) => retry_for,
        None => variable(environment, "WINDLASS_RETRY_FOR", duration::parse)?
            .unwrap_or(defaults.retry_for),
    };
    for unknown in args.plain_http.iter().filter(|host| !hosts.contains(*host)) {
        output.warn(&format!("--plain-http {unknown} is no registry of this run"));
    }
    let plain_http: BTreeSet<Registry> = args.plain_http.iter().cloned().collect();
    let insecure = args.insecure;
    let retries = retries::tell(output);
    let options = move |registry: &Registry| ClientOptions {
        transport: transport(registry, &plain_http, insecure),
        retry_for,
        jobs: load.jobs.unwrap_or(defaults.jobs),
        chunk_size: load.chunk_size,
        retries: retries.clone(),
    };
    Ok(PusherOptions {
        http: Http::new(http),
        credentials: credentials(args, hosts, environment, output)?,
        host: Arc::new(options),
        journal: Journal::none(),
    })
}

/// The value of a variable, where it is set.
pub(super) fn variable<T>(
    environment: &Environment,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Problem> {
    let parse = |text: String| parse(&text).map_err(|e| Problem::usage(format!("{name}: {e}")));
    environment.text(name).map(parse).transpose()
}

fn transport(registry: &Registry, plain_http: &BTreeSet<Registry>, insecure: bool) -> Transport {
    match Transport::default_for(registry) {
        _ if plain_http.contains(registry) => Transport::PlainHttp,
        Transport::Https if insecure => Transport::TlsFirst,
        usual => usual,
    }
}

fn http_config(args: &ConnectionArgs, environment: &Environment) -> Result<HttpConfig, Problem> {
    let defaults = HttpConfig::default();
    let stall_timeout: Option<Duration> = match args.stall_timeout {
        Some(given) => Some(given),
        None => variable(environment, "WINDLASS_STALL_TIMEOUT", duration::parse_positive)?,
    };
    let mut ca_files = args.cacert.clone();
    let client_cert = args.cert.clone().zip(args.key.clone());
    for file in &ca_files {
        holds(file, "--cacert", "CERTIFICATE-----")?;
    }
    if let Some((cert, key)) = &client_cert {
        holds(cert, "--cert", "CERTIFICATE-----")?;
        holds(key, "--key", "PRIVATE KEY-----")?;
    }
    // Elsewhere it is what the system's authorities are read from.
    if cfg!(any(target_os = "macos", windows)) {
        ca_files.extend(environment.path("SSL_CERT_FILE"));
    }
    Ok(HttpConfig {
        tls: TlsConfig {
            ca_files,
            client_cert,
            certs_dirs: certs_dirs(environment),
            accept_invalid: match args.insecure {
                true => AcceptInvalid::Always,
                false => AcceptInvalid::Never,
            },
        },
        proxies: proxies(environment),
        stall_timeout: stall_timeout.unwrap_or(defaults.stall_timeout),
        ..defaults
    })
}

/// Files are understood when the first https host is met; that they are not there, or hold something
/// else, is known now.
fn holds(file: &Path, flag: &str, label: &str) -> Result<(), Problem> {
    let shown = file.display();
    let bytes = fs::read(file)
        .map_err(|error| Problem::usage(format!("cannot read {shown} ({flag}): {error}")))?;
    if String::from_utf8_lossy(&bytes).contains(label) {
        return Ok(());
    }
    Err(Problem::usage(format!("{shown} ({flag}) holds no `-----BEGIN … {label}` in PEM")))
}

/// Where docker and podman look for what belongs to a host, the user's own first. What may not be
/// read is passed over, as they do.
fn certs_dirs(environment: &Environment) -> Vec<PathBuf> {
    let home = home(environment);
    let config = environment
        .path("XDG_CONFIG_HOME")
        .or_else(|| home.as_ref().map(|home| home.join(".config")));
    let mut folders = Vec::new();
    if let Some(config) = &config {
        folders.push(config.join("containers"));
        folders.push(config.join("docker"));
    }
    folders.extend(home.map(|home| home.join(".docker")));
    if cfg!(windows) {
        folders.extend(environment.path("ProgramData").map(|data| data.join("docker")));
    } else {
        folders.extend(["/etc/containers", "/etc/docker"].map(PathBuf::from));
    }
    let folders = folders.into_iter().map(|folder| folder.join("certs.d"));
    folders.filter(|folder| fs::read_dir(folder).is_ok()).collect()
}

fn proxies(environment: &Environment) -> Proxies {
    // The small ones are older, and the ones that curl reads.
    let either = |small: &str, large: &str| environment.text(small).or(environment.text(large));
    Proxies {
        http: either("http_proxy", "HTTP_PROXY"),
        https: either("https_proxy", "HTTPS_PROXY"),
        all: either("all_proxy", "ALL_PROXY"),
        no: either("no_proxy", "NO_PROXY"),
    }
}

fn credentials(
    args: &ConnectionArgs,
    hosts: &BTreeSet<Registry>,
    environment: &Environment,
    output: &Output,
) -> Result<Arc<dyn CredentialProvider>, Problem> {
    let mut chain: Vec<Arc<dyn CredentialProvider>> = Vec::new();
    if let Some(fixed) = given_login(args, hosts, environment)? {
        chain.push(Arc::new(fixed));
    }
    let path = environment.path("PATH").unwrap_or_default();
    let helpers = Helpers { directories: split(path.as_os_str()), ..Helpers::default() };
    chain.push(Arc::new(ConfigFiles::new(config_places(environment), helpers)));
    Ok(Arc::new(Told::new(CredentialChain(chain), output.clone())))
}

/// The name and password that were typed or set, for the one host of this run.
fn given_login(
    args: &ConnectionArgs,
    hosts: &BTreeSet<Registry>,
    environment: &Environment,
) -> Result<Option<FixedCredential>, Problem> {
    let (username, origin) = match (&args.username, environment.text("WINDLASS_USERNAME")) {
        (Some(typed), _) => (Some(typed.clone()), "--username"),
        (None, set) => (set, "WINDLASS_USERNAME"),
    };
    let password = environment.text("WINDLASS_PASSWORD").map(Secret::new);
    let Some(username) = username else {
        let given = if args.password_stdin { "--password-stdin" } else { "WINDLASS_PASSWORD" };
        return match args.password_stdin || password.is_some() {
            false => Ok(None),
            true => Err(Problem::usage(format!("{given} gives a password, but no name to it"))
                .hint("give the name with --username or WINDLASS_USERNAME")),
        };
    };
    let registry = match Vec::from_iter(hosts).as_slice() {
        [one] => Registry::clone(one),
        several => {
            let names: Vec<_> = several.iter().map(|host| host.as_str()).collect();
            let message = format!("{origin} with several registries: {}", names.join(", "));
            return Err(Problem::usage(message)
                .hint("a password is for one host; log in to each with `docker login`"));
        }
    };
    let password = match (args.password_stdin, password) {
        (true, _) => password_from(std::io::stdin().lock())?,
        (false, Some(set)) => set,
        (false, None) => {
            return Err(Problem::usage(format!("{origin} gives a name, but no password to it"))
                .hint("give the password with --password-stdin or WINDLASS_PASSWORD"));
        }
    };
    let credential = Credential::basic(username, password);
    Ok(Some(FixedCredential { registry, credential, origin: Origin::new(origin) }))
}

/// Reads to the end; one line's end, which `echo` leaves there, is no part of the password.
fn password_from(reader: impl std::io::Read) -> Result<Secret, Problem> {
    let mut text = String::new();
    let read = reader.take(LONGEST_PASSWORD + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    let problem = match read {
        // The text is not told: it is a secret.
        Err(error) => format!("cannot read the password from standard input: {error}"),
        Ok(length) if length as u64 > LONGEST_PASSWORD => {
            "standard input is too long for a password".to_owned()
        }
        Ok(_) => {
            let line = text.expose();
            let line = line.strip_suffix('\n').unwrap_or(line);
            let password = line.strip_suffix('\r').unwrap_or(line);
            if !password.is_empty() {
                return Ok(Secret::from(password));
            }
            "there is no password on standard input".to_owned()
        }
    };
    Err(Problem::usage(problem))
}

fn config_places(environment: &Environment) -> ConfigPlaces {
    ConfigPlaces {
        docker_auth_config: environment.text("DOCKER_AUTH_CONFIG").map(Secret::new),
        registry_auth_file: environment.path("REGISTRY_AUTH_FILE"),
        xdg_runtime_dir: environment.path("XDG_RUNTIME_DIR"),
        user_id: user_id(),
        xdg_config_home: environment.path("XDG_CONFIG_HOME"),
        docker_config_dir: environment.path("DOCKER_CONFIG"),
        home: home(environment),
    }
}

fn home(environment: &Environment) -> Option<PathBuf> {
    environment.path(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
}

/// The user's number, where the system has a file that tells it: podman needs it on Linux alone.
fn user_id() -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata("/proc/self").ok().map(|process| process.uid())
    }
    #[cfg(not(target_os = "linux"))]
    None
}

fn split(path: &OsStr) -> Vec<PathBuf> {
    let directories = std::env::split_paths(path);
    directories.filter(|directory| !directory.as_os_str().is_empty()).collect()
}
