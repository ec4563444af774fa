//! A text that is shown to nobody.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A password or a token. It shows itself as `***`, and its memory is wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text as a secret.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The text itself, to be sent to whom it belongs and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` without the secret: servers have been seen to repeat what they refuse.
    #[must_use]
    pub(super) fn scrub(&self, text: &str) -> String {
        // What is shorter would tear holes into any text, and show by them what it is.
        const SHORTEST: usize = 4;
        if self.0.len() < SHORTEST { text.to_owned() } else { text.replace(self.expose(), "***") }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "***");
        assert_eq!(Secret::from("hunter2").expose(), "hunter2");
    }

    #[test]
    fn it_is_cut_out_of_what_others_say() {
        assert_eq!(Secret::from("hunter2").scrub("no: hunter2, hunter2!"), "no: ***, ***!");
        assert_eq!(Secret::from("a").scrub("a bad name"), "a bad name");
    }
}
