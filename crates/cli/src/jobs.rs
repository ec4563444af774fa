//! How many layers are sent at once, as people type it.

/// Reads a number from 1 to 64.
pub(crate) fn parse(text: &str) -> Result<u8, String> {
    match text.trim().parse() {
        Ok(jobs @ 1..=64) => Ok(jobs),
        _ => Err(format!("{text:?} is no number from 1 to 64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_a_number_from_1_to_64() {
        let check = |text: &str, expected: Option<u8>| assert_eq!(parse(text).ok(), expected);
        check("1", Some(1));
        check("64", Some(64));
        check("0", None);
        check("65", None);
        check("x", None);
        check("", None);
    }
}
