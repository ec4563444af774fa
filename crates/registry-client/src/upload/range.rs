//! How much of an upload has arrived, as registries write it.

/// Reads the `Range` header of an upload: how many bytes the session has.
///
/// Tolerant, since registries are not: `0-99`, `bytes=0-99`, `0--1` (nothing), and `0-0`, which
/// the specification cannot tell from nothing and is read so.
#[must_use]
pub fn received(range: &str) -> Option<u64> {
    let range = range.trim();
    let range =
        range.strip_prefix("bytes").map_or(range, |rest| rest.trim_start_matches(['=', ' ']));
    let last = range.strip_prefix("0-")?;
    match last {
        "-1" => Some(0),
        _ if last.bytes().all(|byte| byte.is_ascii_digit()) => match last.parse().ok()? {
            0 => Some(0),
            last => u64::checked_add(last, 1),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_all_dialects() {
        let check =
            |text: &str, expected: Option<u64>| assert_eq!(received(text), expected, "{text}");
        check("0-99", Some(100));
        check("bytes=0-99", Some(100));
        check("bytes 0-99", Some(100));
        check(" 0-99 ", Some(100));
        check("0-0", Some(0));
        check("0-0000", Some(0));
        check("0--1", Some(0));
        check("bytes=0--1", Some(0));
        check("1-99", None);
        check("0-", None);
        check("0-x", None);
        check("0-18446744073709551615", None);
        check("", None);
    }
}
