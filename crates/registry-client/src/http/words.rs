//! What went wrong with a connection, in words a person understands.

use std::error::Error;
use std::io;

/// What the error at the bottom of a connection's error says.
pub(super) fn of_hyper(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return "the other side closed it".to_owned();
    }
    let mut bottom: &dyn Error = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    match bottom.downcast_ref::<io::Error>() {
        Some(error) => of_io(error),
        None => bottom.to_string(),
    }
}

/// A system's error in words, without its number.
pub(super) fn of_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => "the other side reset it".to_owned(),
        io::ErrorKind::UnexpectedEof => "the other side closed it".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}
