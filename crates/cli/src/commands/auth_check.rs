//! `windlass auth check`: who we are at a registry, how it wants to know, and what that is good
//! for.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use windlass_push::Pusher;
use windlass_registry_client::auth::{Description, Identity, Login};
use windlass_registry_client::{Access, Class, Error};

use crate::args::{AuthCheckArgs, Form};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::settings::{Load, pusher_options};
use crate::signals::Stop;

pub(crate) async fn run(args: &AuthCheckArgs, context: &Context) -> Result<Exit, Problem> {
    let Context { output, environment } = context;
    let stop = Stop::listen();
    let repository = &args.repository;
    let hosts = BTreeSet::from([repository.registry().clone()]);
    let options = pusher_options(&args.connection, Load::default(), &hosts, environment, output)?;
    let client = Pusher::new(options).client(repository.registry());
    let ask = async {
        let access = client.repository(repository.clone()).check_access().await;
        // By now the registry has said how it wants to know.
        (access, client.describe_login(repository).await)
    };
    let (access, login) = tokio::select! {
        found = ask => found,
        interrupt = stop.clone().wait() => {
            return Err(stop.names_exit(Problem::interrupted(interrupt)));
        }
    };
    let found = Found {
        repository: repository.to_string(),
        scheme: client.scheme(),
        access,
        login: login.map_err(|error| error.to_string()),
    };
    match output.form() {
        Form::Text => found.lines().iter().try_for_each(|line| output.print(line))?,
        Form::Json => output.print(&found.json().to_string())?,
    }
    found.verdict()
}

struct Found {
    repository: String,
    scheme: Option<&'static str>,
    access: Access,
    login: Result<Description, String>,
}

impl Found {
    fn lines(&self) -> Vec<String> {
        let not_known = || "not known".to_owned();
        let none_found = || "none found".to_owned();
        let (login, credential) = match &self.login {
            // The same that is told of the access, in the end and once.
            Err(_) if self.unreachable().is_some() => (not_known(), not_known()),
            // Who has not answered has not asked for a login either.
            Ok(Description { login: None, credential }) if self.unreachable().is_some() => {
                (not_known(), credential.as_ref().map_or_else(none_found, credential_words))
            }
            Ok(Description { login, credential }) => (
                login.as_ref().map_or_else(|| "none asked for".to_owned(), login_words),
                credential.as_ref().map_or_else(none_found, credential_words),
            ),
            Err(problem) => (not_known(), problem.clone()),
        };
        let yes_or_no = |access: &Result<(), Error>| match access {
            Ok(()) => "yes".to_owned(),
            Err(error) if error.class() == Class::Unreachable => not_known(),
            Err(error) => format!("no: {error}"),
        };
        vec![
            format!("repository: {} ({})", self.repository, self.scheme.unwrap_or("no answer")),
            format!("login:      {login}"),
            format!("credential: {credential}"),
            format!("pull:       {}", yes_or_no(&self.access.pull)),
            format!("push:       {}", yes_or_no(&self.access.push)),
        ]
    }

    fn json(&self) -> Value {
        let access = |access: &Result<(), Error>| match access {
            Ok(()) => json!({ "allowed": true }),
            Err(error) => {
                let allowed = (error.class() != Class::Unreachable).then_some(false);
                json!({ "allowed": allowed, "error": error.to_string(), "hint": hint(error) })
            }
        };
        let description = self.login.as_ref().ok();
        json!({
            "version": 1,
            "repository": self.repository,
            "scheme": self.scheme,
            "login": description.and_then(|found| found.login.as_ref()).map(|login| match login {
                Login::Basic => json!({ "kind": "basic" }),
                Login::Bearer { host, service } => {
                    json!({ "kind": "bearer", "host": host, "service": service })
                }
            }),
            "credential": description.and_then(|found| found.credential.as_ref()).map(|found| {
                let Identity { kind, username, origin } = found;
                json!({ "kind": kind, "username": username, "origin": origin.to_string() })
            }),
            "pull": access(&self.access.pull),
            "push": access(&self.access.push),
        })
    }

    /// What kept the registry from being asked.
    fn unreachable(&self) -> Option<&Error> {
        let Access { pull, push } = &self.access;
        let mut errors = [pull, push].into_iter().filter_map(|access| access.as_ref().err());
        errors.find(|error| error.class() == Class::Unreachable)
    }

    /// All of it is allowed, or why not.
    fn verdict(&self) -> Result<Exit, Problem> {
        let Access { pull, push } = &self.access;
        if let Some(error) = self.unreachable() {
            return Err(Problem { hint: hint(error), ..Problem::from(error) });
        }
        let Some(first) = pull.as_ref().err().or(push.as_ref().err()) else {
            return Ok(Exit::Success);
        };
        let what = match (pull, push) {
            (Err(_), Err(_)) => "neither pull nor push works",
            (Err(_), Ok(())) => "pull does not work",
            _ => "push does not work",
        };
        let message = format!("{what} at {}", self.repository);
        let exit = Exit::Authentication;
        Err(Problem { exit, message, hint: hint(first), ..Problem::from(first) })
    }
}

/// What the reader can do, unless it is what was just done.
fn hint(error: &Error) -> Option<String> {
    error.hint().map(|hint| match hint.split_once("; `windlass auth check ") {
        Some((rest, _)) => rest.to_owned(),
        None => hint,
    })
}

fn login_words(login: &Login) -> String {
    match login {
        Login::Basic => "a password with each request (Basic)".to_owned(),
        Login::Bearer { host, service: Some(service) } => {
            format!("a token from {host} for service {service:?} (Bearer)")
        }
        Login::Bearer { host, service: None } => format!("a token from {host} (Bearer)"),
    }
}

fn credential_words(credential: &Identity) -> String {
    let Identity { kind, username, origin } = credential;
    match username {
        Some(username) => format!("{kind} of {username:?}, from {origin}"),
        None => format!("{kind}, from {origin}"),
    }
}
