//! What the process says when it ends.

use std::process::ExitCode;

use windlass_push::FailureClass;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is done.
    Success = 0,
    /// Anything that is none of the others.
    Other = 1,
    /// What was typed cannot be meant; nothing was sent.
    Usage = 2,
    /// The image cannot be read, or is not what its digests say; no tag was set.
    Image = 3,
    /// Not known to the registry, or not allowed.
    Authentication = 4,
    /// A tag was refused.
    Tag = 5,
    /// The registry could not be reached, or was given up on: run again to go on.
    Unreachable = 6,
    /// The registry does not take the content.
    Rejected = 7,
    /// SIGHUP: the terminal is gone.
    HungUp = 129,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The class that it is the exit code of, where there is one.
    pub(crate) fn class(self) -> Option<FailureClass> {
        match self {
            Exit::Success | Exit::Other | Exit::Usage => None,
            Exit::Image => Some(FailureClass::Image),
            Exit::Authentication => Some(FailureClass::Authentication),
            Exit::Tag => Some(FailureClass::Tag),
            Exit::Unreachable => Some(FailureClass::Unreachable),
            Exit::Rejected => Some(FailureClass::Rejected),
            Exit::Interrupted => Some(FailureClass::Interrupted),
            Exit::HungUp | Exit::Terminated => Some(FailureClass::Terminated),
        }
    }
}

impl From<FailureClass> for Exit {
    fn from(class: FailureClass) -> Exit {
        match class {
            FailureClass::Image => Exit::Image,
            FailureClass::Authentication => Exit::Authentication,
            FailureClass::Tag => Exit::Tag,
            FailureClass::Unreachable => Exit::Unreachable,
            FailureClass::Rejected => Exit::Rejected,
            FailureClass::Interrupted => Exit::Interrupted,
            FailureClass::Terminated => Exit::Terminated,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_failure_has_its_exit_code() {
        let check = |class: FailureClass, code: u8| {
            assert_eq!(Exit::from(class) as u8, code);
            assert_eq!(Exit::from(class).class(), Some(class));
        };
        check(FailureClass::Image, 3);
        check(FailureClass::Authentication, 4);
        check(FailureClass::Tag, 5);
        check(FailureClass::Unreachable, 6);
        check(FailureClass::Rejected, 7);
        check(FailureClass::Interrupted, 130);
        check(FailureClass::Terminated, 143);
    }
}
