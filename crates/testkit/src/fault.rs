//! What can be done to a request, and to the answer to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::call::Head;
use crate::gate::Gate;

/// What is done to a request. Made by the methods of [`When`].
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Answer { answer: Answer, read: Option<u64> },
    Break { how: Break, after: u64 },
    LoseReply(Break),
    Stall { after: u64 },
    Shorten { to: u64 },
    Delay(Duration),
    Hold(Gate),
    HoldBefore(Gate),
    Garble(Garble),
    Redirect { status: StatusCode, to: String },
    Raw(Bytes),
    Vanish { after_work: bool },
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// By a reset (RST): what lies in buffers is lost.
    Reset,
    /// By being closed (FIN), in good order but too early.
    Close,
}

/// An answer that the registry did not give.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A whole answer, to be changed by [`When::garble`](crate::When::garble).
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers. `Content-Length` is made to fit the body afterwards.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

#[derive(Clone)]
pub(crate) struct Garble(Arc<Change>);

type Change = dyn Fn(&Head, &mut Reply) + Send + Sync;

impl Garble {
    pub(crate) fn new(change: impl Fn(&Head, &mut Reply) + Send + Sync + 'static) -> Garble {
        Garble(Arc::new(change))
    }

    pub(crate) fn apply(&self, head: &Head, reply: &mut Reply) {
        (self.0)(head, reply);
    }
}

impl Fault {
    /// A body that is too short to be cut in the middle is left alone.
    pub(crate) fn fits(&self, length: Option<u64>) -> bool {
        match self {
            Fault::Break { after, .. } | Fault::Stall { after } => {
                *after == 0 || length.is_none_or(|length| length > *after)
            }
            Fault::Shorten { to } => length.is_some_and(|length| length > *to),
            _ => true,
        }
    }

    /// What the log calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Fault::Answer { .. } => "answer",
            Fault::Break { how: Break::Reset, .. } => "reset",
            Fault::Break { how: Break::Close, .. } => "close",
            Fault::LoseReply(_) => "lose reply",
            Fault::Stall { .. } => "stall",
            Fault::Shorten { .. } => "shorten",
            Fault::Delay(_) => "delay",
            Fault::Hold(_) | Fault::HoldBefore(_) => "hold",
            Fault::Garble(_) => "garble",
            Fault::Redirect { .. } => "redirect",
            Fault::Raw(_) => "raw",
            Fault::Vanish { .. } => "vanish",
        }
    }
}

pub(crate) fn error_body(code: &str, message: &str) -> String {
    serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string()
}

/// Puts the `Location` of an answer behind another base.
pub(crate) fn change_location(reply: &mut Reply, base: impl Fn() -> String) {
    let Some(location) = reply.headers.get(http::header::LOCATION) else { return };
    let location = location.to_str().expect("a location of ASCII").to_owned();
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => &location,
    };
    let location = format!("{}{path}", base());
    reply.headers.insert(http::header::LOCATION, location.parse().expect("a location"));
}

impl fmt::Debug for Garble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Garble")
    }
}
