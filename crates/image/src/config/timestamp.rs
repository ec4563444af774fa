//! When an image was made.

use std::fmt;
use std::str::FromStr;

/// A time as an image's config has it: the text of an RFC 3339 `date-time`, kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp(String);

/// The text is no such time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time like 2006-01-02T15:04:05Z (RFC 3339)")]
pub struct TimestampError(String);

impl Timestamp {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Takes what Go's standard library takes too, since that is what reads it: `T` and `Z` are
    /// capitals, and there is no leap second.
    fn from_str(text: &str) -> Result<Timestamp, TimestampError> {
        match is_time(text) {
            Some(()) => Ok(Timestamp(text.to_owned())),
            None => Err(TimestampError(text.chars().take(64).collect())),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_time(text: &str) -> Option<()> {
    let rest = &mut text.as_bytes();
    let year = number(rest, 4)?;
    skip(rest, b'-')?;
    let month = number(rest, 2).filter(|month| (1..=12).contains(month))?;
    skip(rest, b'-')?;
    number(rest, 2).filter(|day| (1..=days_in(year, month)).contains(day))?;
    skip(rest, b'T')?;
    number(rest, 2).filter(|hour| *hour < 24)?;
    for _ in ["minute", "second"] {
        skip(rest, b':')?;
        number(rest, 2).filter(|value| *value < 60)?;
    }
    if skip(rest, b'.').is_some() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *rest = rest.get(digits..).filter(|_| digits > 0)?;
    }
    if skip(rest, b'Z').is_none() {
        skip(rest, b'+').or_else(|| skip(rest, b'-'))?;
        number(rest, 2).filter(|hour| *hour < 24)?;
        skip(rest, b':')?;
        number(rest, 2).filter(|minute| *minute < 60)?;
    }
    rest.is_empty().then_some(())
}

fn number(rest: &mut &[u8], digits: usize) -> Option<u32> {
    let (number, behind) = rest.split_at_checked(digits)?;
    *rest = behind;
    number.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
    })
}

fn skip(rest: &mut &[u8], byte: u8) -> Option<()> {
    *rest = rest.strip_prefix(&[byte])?;
    Some(())
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(text.parse::<Timestamp>().is_ok(), expected, "{text:?}");
    }

    #[test]
    fn times_of_rfc_3339_and_nothing_else() {
        check("1970-01-01T00:00:00Z", true);
        check("2024-02-29T23:59:59Z", true);
        check("2000-02-29T00:00:00.5Z", true);
        check("2006-01-02T15:04:05.123456789+05:30", true);
        check("2006-01-02T15:04:05-23:59", true);
        check("0001-12-31T00:00:00Z", true);
        for bad in [
            "",
            "now",
            "0",
            "{{BUILD_TIMESTAMP}}",
            "1700000000",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-32T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01t00:00:00z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+01:60",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00Z ",
            "2024-1-1T00:00:00Z",
            "+024-01-01T00:00:00Z",
            "2024-01-01",
            "\u{662}024-01-01T00:00:00Z",
        ] {
            check(bad, false);
        }
    }
}
