//! Durations as Go writes them: numbers with units, one after the other, as in `"1h30m"` or `"1.5s"`.

use std::time::Duration;

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration, or says in a sentence what is wrong with it. What is finer than a nanosecond is cut off.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err(format!("an empty text is no duration: {EXPECTED}"));
    }
    if text.starts_with('-') {
        return Err(format!("`{text}` is negative: {EXPECTED}"));
    }
    let mut rest = text;
    let mut total_ns: u128 = 0;
    while !rest.is_empty() {
        let number = prefix(rest, |c| c.is_ascii_digit() || c == '.');
        rest = &rest[number.len()..];
        let unit = prefix(rest, |c| !c.is_ascii_digit() && c != '.');
        rest = &rest[unit.len()..];
        if unit.is_empty() {
            return Err(format!("`{text}` has no unit after `{number}`: {EXPECTED}"));
        }
        let Some(&(_, unit_ns)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("`{text}` has the unknown unit `{unit}`: {EXPECTED}"));
        };
        let Some(part_ns) = scale(number, unit_ns) else {
            return Err(format!("`{text}` has `{number}` where a number must stand: {EXPECTED}"));
        };
        total_ns = total_ns.saturating_add(part_ns);
    }
    // Go's limit too: 63 bits of nanoseconds, some 292 years.
    match i64::try_from(total_ns) {
        Ok(ns) => Ok(Duration::from_nanos(ns.unsigned_abs())),
        Err(_) => Err(format!("`{text}` is longer than 292 years")),
    }
}

const EXPECTED: &str =
    "write numbers with one of the units ns, us, ms, s, m, h, as in \"300ms\", \"5s\" or \"1m30s\"";

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !belongs(c)).unwrap_or(text.len())]
}

/// Multiplies a decimal number with a unit; `None` if it is not one.
fn scale(number: &str, unit_ns: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let digits =
        |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok().map(u128::from) };
    // Eighteen digits are finer than a nanosecond in every unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)? * unit_ns + digits(fraction)? * unit_ns / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, ns) in [
            ("0s", 0),
            ("5s", 5_000_000_000),
            ("300ms", 300_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h15m30.918s", 4_530_918_000_000),
            ("2us3ns", 2_003),
            ("2µs", 2_000),
            ("2μs", 2_000),
            ("0.3333333333333333333h", 1_199_999_999_999),
            ("9223372036854775807ns", i64::MAX.unsigned_abs()),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(ns)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, sentence) in [
            ("", "an empty text"),
            ("-5s", "is negative"),
            ("5", "has no unit after `5`"),
            ("0", "has no unit"),
            ("1m30", "has no unit after `30`"),
            ("5 s", "unknown unit ` s`"),
            ("5 seconds", "unknown unit"),
            ("5S", "unknown unit `S`"),
            ("s", "has `` where a number must stand"),
            (".s", "has `.` where a number must stand"),
            ("1.2.3s", "has `1.2.3` where"),
            ("99999999999999999999s", "where a number must stand"),
            ("9223372036854775808ns", "longer than 292 years"),
            ("18446744073709551615h", "longer than 292 years"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(sentence), "{text}: {message}");
        }
    }
}
