//! What can happen to a request, told apart as far as a retry decision needs it.

use std::time::Duration;

use windlass_source::SourceError;

/// Why there is no answer. Messages are fragments that complete "cannot reach HOST: …".
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The host's name does not resolve. Never retried before a first answer: it is a typo.
    #[error("its name cannot be resolved: {0}")]
    Resolve(String),
    /// No address of the host, or of its proxy, could be connected to.
    #[error("no connection: {0}")]
    Connect(String),
    /// The TLS handshake failed: a certificate that is not trusted, a wrong name, no common
    /// version. Never retried.
    #[error("no TLS connection: {0}")]
    Tls(String),
    /// What answers does not speak TLS.
    #[error("no TLS connection: {0}")]
    NotTls(String),
    /// What answers does not speak HTTP.
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
    /// The connection broke before an answer was read. What was sent may have arrived.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The connection broke before the first byte of the request's body was sent: a request that
    /// has a body was certainly not carried out. One without a body never ends so.
    #[error("the connection broke before anything was sent: {0}")]
    Unsent(String),
    /// No byte of an unfinished body moved for that long.
    #[error("no byte moved for {0:?}")]
    Stalled(Duration),
    /// The request was sent whole, and there was no answer for that long.
    #[error("no answer for {0:?}")]
    AnswerTimeout(Duration),
    /// The URL of the request, or of a redirect, is none that can be asked.
    #[error("{0}")]
    Uri(String),
    /// A redirect that cannot be followed.
    #[error("{0}")]
    Redirect(String),
    /// The answer's body is larger than it may be.
    #[error("its answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The request's own body could not be read. Not the network's fault.
    #[error(transparent)]
    Source(#[from] SourceError),
}
