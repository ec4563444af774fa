//! Which image of a layout is meant, as people type it: a digest, the beginning of one, or a name.

/// Fewer are as good as any.
const LEAST: usize = 7;

/// Refuses the beginning of a digest that is too short to mean one; all else is looked for.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let hex = ["sha256:", "sha512:"].iter().find_map(|algorithm| text.strip_prefix(algorithm));
    match hex {
        Some(hex) if hex.len() < LEAST => Err(format!(
            "{text:?} is too short for a digest; its first {LEAST} characters after the colon will do"
        )),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_digest_is_not_too_short() {
        let check =
            |text: &str, expected: bool| assert_eq!(parse(text).is_ok(), expected, "{text}");
        check("sha256:", false);
        check("sha256:012345", false);
        check("sha256:0123456", true);
        check("sha512:1", false);
        check("v1", true);
        check("abc", true);
        check("sha256", true);
    }
}
