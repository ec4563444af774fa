//! Why a command did not do what it should: an exit code, words, and what the reader can do.

use windlass_image::{GraphError, LayoutError};
use windlass_oci::ReferenceError;
use windlass_push::{Failure, Interrupt};
use windlass_registry_client::{Class, Error};

use crate::exit_code::Exit;

/// Why a command failed. [`Output::problem`](crate::output::Output::problem) prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// What was being done, to what, and what is wrong. Lower case; may have several lines.
    pub(crate) message: String,
    /// What the reader can do.
    pub(crate) hint: Option<String>,
    /// How things stand now, in lines of their own.
    pub(crate) details: Vec<String>,
}

impl Problem {
    fn new(exit: Exit, message: impl Into<String>) -> Problem {
        Problem { exit, message: message.into(), hint: None, details: Vec::new() }
    }

    /// A problem that is none of the particular ones.
    pub(crate) fn other(message: impl Into<String>) -> Problem {
        Problem::new(Exit::Other, message)
    }

    /// What was typed cannot be meant; nothing was sent.
    pub(crate) fn usage(message: impl Into<String>) -> Problem {
        Problem::new(Exit::Usage, message)
    }

    /// The process was told to stop.
    pub(crate) fn interrupted(by: Interrupt) -> Problem {
        Problem::from(&Failure::Interrupted(by))
    }

    /// The same, as one of `what`.
    pub(crate) fn of(self, what: &str) -> Problem {
        Problem { message: format!("{what}: {}", self.message), ..self }
    }

    /// The same, with what the reader can do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }
}

impl From<ReferenceError> for Problem {
    fn from(error: ReferenceError) -> Problem {
        Problem::usage(error.to_string())
    }
}

impl From<LayoutError> for Problem {
    fn from(error: LayoutError) -> Problem {
        let message = error.to_string();
        match error {
            // The image is fine; what was typed does not say which part of it is meant.
            LayoutError::Several { .. }
            | LayoutError::Ambiguous { .. }
            | LayoutError::NoSuchRoot { .. } => {
                Problem::usage(message).hint("choose one with --manifest DIGEST or --manifest NAME")
            }
            _ => Problem::new(Exit::Image, message),
        }
    }
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Problem {
        Problem::new(Exit::Image, error.to_string())
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Problem {
        let problem = Problem::new(failure.class().into(), failure.to_string());
        Problem { hint: failure.hint(), ..problem }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Problem {
        let exit = match error.class() {
            Class::Source => Exit::Image,
            Class::Authentication => Exit::Authentication,
            Class::Rejected => Exit::Rejected,
            Class::Unreachable => Exit::Unreachable,
        };
        Problem { hint: error.hint(), ..Problem::new(exit, error.to_string()) }
    }
}
