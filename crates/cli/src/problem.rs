//! Why a command did not do what it should: an exit code, words, and what the reader can do.

use windlass_image::{GraphError, LayoutError};
use windlass_oci::ReferenceError;
use windlass_push::Failure;
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
}

impl Problem {
    /// A problem that is none of the particular ones.
    pub(crate) fn other(message: impl Into<String>) -> Problem {
        Problem { exit: Exit::Other, message: message.into(), hint: None }
    }

    /// What was typed cannot be meant; nothing was sent.
    pub(crate) fn usage(message: impl Into<String>) -> Problem {
        Problem { exit: Exit::Usage, message: message.into(), hint: None }
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
        Problem { exit: Exit::Image, message: error.to_string(), hint: None }
    }
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Problem {
        Problem { exit: Exit::Image, message: error.to_string(), hint: None }
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Problem {
        let exit = failure.class().into();
        Problem { exit, message: failure.to_string(), hint: failure.hint() }
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
        Problem { exit, message: error.to_string(), hint: error.hint() }
    }
}
