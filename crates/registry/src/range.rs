//! Which bytes: the `Range` of a download, the `Content-Range` of an upload. Pure.

use std::ops::Range;

/// What a `Range` header asks of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All: there is no range, none that is understood, or more than one. RFC 9110, §14.2 lets a
    /// server answer with everything then.
    All,
    /// These, at least one.
    Part(Range<u64>),
    /// Some that do not exist: 416.
    Nothing,
}

/// Reads a `Range` header. RFC 9110, §14.1.2.
pub(crate) fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some(set) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Asked::All;
    };
    let Some((first, last)) = set.trim().split_once('-') else {
        return Asked::All;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Asked::All,
    };
    if range.is_empty() { Asked::Nothing } else { Asked::Part(range) }
}

/// Reads the `Content-Range` of a chunk: `0-99` as the distribution-spec writes it (§"Pushing a
/// blob in chunks"); also `bytes 0-99/*`, which is how the rest of the web does.
pub(crate) fn chunk(header: &str) -> Option<Range<u64>> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").unwrap_or(text).trim_start_matches([' ', '=']);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    if first <= last { Some(first..last.checked_add(1)?) } else { None }
}

/// The `Range` header of an upload that has so many bytes: the last byte's offset is in it, not
/// their number, so no bytes cannot be said. As other registries do, `0-0` is said then. To keep
/// that clear a broken body never leaves one single byte behind: `0-0` means one byte only to who
/// was told that a chunk of one byte was accepted.
pub(crate) fn received(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn number(text: &str) -> Option<u64> {
    // `parse` would also take a sign.
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "a table reads better without ampersands")]
mod tests {
    use super::*;

    #[track_caller]
    fn check_asked(header: &str, size: u64, expected: Asked) {
        assert_eq!(asked(Some(header), size), expected, "{header} of {size}");
    }

    #[track_caller]
    fn check_chunk(header: &str, expected: Option<Range<u64>>) {
        assert_eq!(chunk(header), expected, "{header}");
    }

    #[test]
    fn a_download_may_ask_for_a_part() {
        assert_eq!(asked(None, 10), Asked::All);
        check_asked("bytes=0-4", 10, Asked::Part(0..5));
        check_asked("bytes=4-4", 10, Asked::Part(4..5));
        check_asked("bytes=4-", 10, Asked::Part(4..10));
        check_asked("bytes=4-99", 10, Asked::Part(4..10));
        check_asked("bytes=-3", 10, Asked::Part(7..10));
        check_asked("bytes=-99", 10, Asked::Part(0..10));
        check_asked("bytes=0-18446744073709551615", 10, Asked::Part(0..10));
    }

    #[test]
    fn a_part_that_is_not_there_cannot_be_had() {
        check_asked("bytes=10-", 10, Asked::Nothing);
        check_asked("bytes=10-12", 10, Asked::Nothing);
        check_asked("bytes=-0", 10, Asked::Nothing);
        check_asked("bytes=0-", 0, Asked::Nothing);
        check_asked("bytes=-5", 0, Asked::Nothing);
    }

    #[test]
    fn what_is_not_understood_is_everything() {
        for header in ["", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=5-4", "lines=0-1"] {
            check_asked(header, 10, Asked::All);
        }
        for header in ["bytes=0-1,3-4", "bytes=+1-2", "bytes=a-b"] {
            check_asked(header, 10, Asked::All);
        }
    }

    #[test]
    fn a_chunk_says_where_it_belongs() {
        check_chunk("0-99", Some(0..100));
        check_chunk("100-100", Some(100..101));
        check_chunk("bytes 0-99/*", Some(0..100));
        check_chunk("bytes 0-99/1000", Some(0..100));
        check_chunk("bytes=0-99", Some(0..100));
        for header in ["", "-", "5-4", "0--1", "bytes */100", "a-b", "0-18446744073709551615"] {
            check_chunk(header, None);
        }
    }

    #[test]
    fn received_bytes_are_told_by_the_last() {
        assert_eq!(received(0), "0-0");
        assert_eq!(received(1), "0-0");
        assert_eq!(received(100), "0-99");
    }
}
