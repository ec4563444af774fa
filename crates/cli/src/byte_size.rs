//! The size of a chunk as people type it: `10485760`, `512K`, `64M`, `1G`.

/// Less is a slip of the pen: each chunk is a request of its own.
const LEAST: u64 = 64 << 10;

/// Reads a number of bytes, 64K or more, with `K`, `M` or `G` for powers of 1024.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let typed = text.trim();
    let unit_at = typed.find(|next: char| !next.is_ascii_digit()).unwrap_or(typed.len());
    let (number, unit) = typed.split_at(unit_at);
    let shift = match unit {
        "" => Some(0),
        "K" | "k" | "KiB" => Some(10),
        "M" | "m" | "MiB" => Some(20),
        "G" | "g" | "GiB" => Some(30),
        _ => None,
    };
    let size = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    match size {
        Some(..LEAST) => Err(format!(
            "{text:?} is less than 64K; each chunk is a request of its own, 50M is usual"
        )),
        Some(size) => Ok(size),
        None => Err(format!(
            "{text:?} is no number of bytes; write it as 10485760, 512K, 64M or 1G (K is 1024)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text).ok(), expected, "{text}");
    }

    #[test]
    fn sizes() {
        check("1", None);
        check("65535", None);
        check("64K", Some(64 << 10));
        check("10485760", Some(10 << 20));
        check("512K", Some(512 << 10));
        check(" 64m ", Some(64 << 20));
        check("64MiB", Some(64 << 20));
        check("1G", Some(1 << 30));
        check("0", None);
        check("0M", None);
        check("", None);
        check("M", None);
        check("1.5M", None);
        check("-1", None);
        check("1 M", None);
        check("1T", None);
        check("5MB", None);
        check("18446744073709551615", Some(u64::MAX));
        check("18014398509481984K", None);
    }
}
