//! `windlass serve`: the embedded registry on a listener, until somebody stops it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use windlass_registry::{Config, OpenError, Registry, RequestHook, RequestSeen};

use crate::args::ServeArgs;
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::output::{Output, Verbosity};
use crate::problem::Problem;
use crate::settings::registry_data;
use crate::signals::Stop;
use crate::words;

pub(crate) async fn run(args: &ServeArgs, context: &Context) -> Result<Exit, Problem> {
    let output = &context.output;
    let data = match &args.data {
        Some(folder) => folder.clone(),
        None => registry_data(&context.environment)?,
    };
    let wanted = args.listen.address();
    let (listener, address) =
        listen(wanted).await.map_err(|error| cannot_listen(wanted, &error))?;
    let mut config = Config::new(&data);
    config.on_request = (output.verbosity() == Verbosity::Verbose).then(|| teller(output.clone()));
    let registry = Registry::open(config).await.map_err(|error| cannot_open(&error))?;

    for line in greeting(address, &data) {
        output.note(&line);
    }
    let (stop, said) = (Stop::listen(), output.clone());
    let stop = async move {
        stop.wait().await;
        said.note("stopping; a second signal does not wait for what still runs");
    };
    let served = registry.serve(listener, stop).await;
    served
        .map_err(|error| Problem::other(format!("cannot go on listening on {address}: {error}")))?;
    Ok(Exit::Success)
}

async fn listen(wanted: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(wanted).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn greeting(address: SocketAddr, data: &Path) -> [String; 3] {
    [
        format!("a registry listens on http://{address}; Ctrl-C stops it"),
        format!("its content is in {}", data.display()),
        format!("push to it: windlass push ./image --repository {address}/app --tag v1"),
    ]
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> Problem {
    let problem = Problem::other(format!("cannot listen on {address}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => problem.hint(
            "another program listens there, perhaps another `windlass serve`; `--listen \
             127.0.0.1:0` takes a free port",
        ),
        io::ErrorKind::PermissionDenied => {
            problem.hint("ports below 1024 may need rights; `--listen 127.0.0.1:5000` needs none")
        }
        _ => problem,
    }
}

fn cannot_open(error: &OpenError) -> Problem {
    let problem = Problem::other(error.to_string());
    match error {
        OpenError::InUse { .. } => {
            problem.hint("stop that server, or give this one a folder of its own: --data FOLDER")
        }
        OpenError::Io { .. } => problem.hint("another folder is given by --data FOLDER"),
        OpenError::Foreign { .. } | OpenError::Version { .. } => problem,
    }
}

/// Says a line for every request.
fn teller(output: Output) -> RequestHook {
    Arc::new(move |request| output.detail(&line(&request)))
}

/// `PATCH /v2/app/blobs/uploads/… 202 12.3 ms 1.5 MiB`; without a body it ends with the time.
fn line(request: &RequestSeen<'_>) -> String {
    let RequestSeen { method, path, status, received, .. } = request;
    // What may be in a path beyond ASCII must not move a terminal's cursor.
    let path = path.escape_debug();
    let milliseconds = request.took.as_secs_f64() * 1000.0;
    let body = match received {
        0 => String::new(),
        _ => format!(" {}", words::bytes(*received)),
    };
    format!("{method} {path} {status} {milliseconds:.1} ms{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_and_how() {
        let address = "127.0.0.1:5000".parse().unwrap();
        assert_eq!(
            greeting(address, Path::new("/data")),
            [
                "a registry listens on http://127.0.0.1:5000; Ctrl-C stops it",
                "its content is in /data",
                "push to it: windlass push ./image --repository 127.0.0.1:5000/app --tag v1",
            ]
        );
    }

    #[test]
    fn what_stands_in_the_way_is_told_with_a_way_around_it() {
        let address = "127.0.0.1:80".parse().unwrap();
        let problem = |kind: io::ErrorKind| cannot_listen(address, &kind.into());
        let hint = |kind| problem(kind).hint.unwrap_or_default();
        assert!(hint(io::ErrorKind::AddrInUse).contains("--listen 127.0.0.1:0"));
        assert!(hint(io::ErrorKind::PermissionDenied).contains("1024"));
        assert!(
            problem(io::ErrorKind::AddrInUse)
                .message
                .starts_with("cannot listen on 127.0.0.1:80: ")
        );
        let in_use = cannot_open(&OpenError::InUse { data: "/data".into() });
        assert!(in_use.message.contains("/data"));
        assert!(in_use.hint.unwrap().contains("--data"));
    }
}
