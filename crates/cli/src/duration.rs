//! Durations as people type them: `90s`, `5m`, `1h30m`, `500ms`.

use std::time::Duration;

/// Reads a duration: numbers, each with its unit `h`, `m`, `s` or `ms`, the largest first. `0`
/// needs none.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    parts(text.trim())
        .ok_or_else(|| format!("{text:?} is no duration; write it as 90s, 5m, 1h30m or 500ms"))
}

/// The same, where nothing is no answer.
pub(crate) fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Duration::ZERO => Err("it must be more than nothing, such as 60s".to_owned()),
        duration => Ok(duration),
    }
}

fn parts(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut last = Duration::MAX;
    let mut rest = text;
    loop {
        let digits = rest.find(|next: char| !next.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|next: char| next.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let unit = match unit {
            "h" => Duration::from_secs(3600),
            "m" => Duration::from_secs(60),
            "s" => Duration::from_secs(1),
            "ms" => Duration::from_millis(1),
            _ => return None,
        };
        if unit >= last {
            return None;
        }
        total = total.checked_add(unit.checked_mul(number.parse().ok()?)?)?;
        if behind.is_empty() {
            return Some(total);
        }
        (last, rest) = (unit, behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: Option<u64>) {
        assert_eq!(parse(text).ok(), millis.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn durations() {
        check("0", Some(0));
        check("0s", Some(0));
        check("500ms", Some(500));
        check("90s", Some(90_000));
        check(" 5m ", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("1m500ms", Some(60_500));
        check("2h0m1s", Some(7_201_000));
        check("", None);
        check("5", None);
        check("m", None);
        check("5 m", None);
        check("-5m", None);
        check("1.5h", None);
        check("5min", None);
        check("5M", None);
        check("30m1h", None);
        check("1m1m", None);
        check("5m5", None);
        check("99999999999999999999s", None);
        check("4294967295h", Some(4_294_967_295 * 3_600_000));
        check("5m\u{660}s", None);
    }

    #[test]
    fn what_is_no_duration_is_shown_with_what_would_be_right() {
        assert_eq!(
            parse("5 minutes").unwrap_err(),
            "\"5 minutes\" is no duration; write it as 90s, 5m, 1h30m or 500ms"
        );
        assert!(parse_positive("0s").is_err());
        assert_eq!(parse_positive("1s"), Ok(Duration::from_secs(1)));
    }
}
