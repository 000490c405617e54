//! Times, sizes and percentages as people write them: "25s", "1h30m", "20 MiB", 90.5.
//!
//! Deliberately absent: fractions of times and sizes, so that no figure is rounded in silence.

use lull_policy::{Bytes, PerMille, Span};

/// Why a text is no time or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No time.
    #[error(
        "{0:?} is not a time; write a whole number with ms, s, m, h or d, such as \"25s\" or \"1h30m\""
    )]
    Span(String),
    /// No time with a sign.
    #[error(
        "{0:?} is not a time with its sign; write + or - and a time, such as \"+1h\" or \"-30m\""
    )]
    SignedSpan(String),
    /// No size.
    #[error(
        "{0:?} is not a size; write a whole number with B, KB, MB, GB, KiB, MiB or GiB, such as \"20 MiB\""
    )]
    Size(String),
}

/// A length of time in one of two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedSpan {
    /// So much later.
    Ahead(Span),
    /// So much earlier.
    Back(Span),
}

/// Units of time in milliseconds, longest first.
const SPANS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size in bytes, largest first.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Parses a length of time: whole numbers with units, largest unit first, each at most once.
pub fn span(text: &str) -> Result<Span, QuantityError> {
    let error = || QuantityError::Span(shortened(text));
    let mut rest = text.trim();
    let mut sum = 0_u64;
    let mut units = SPANS.as_slice();
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let (number, unit, after) = part(rest).ok_or_else(error)?;
        let place = units.iter().position(|(name, _)| *name == unit);
        let place = place.ok_or_else(error)?;
        let (_, millis) = units.get(place).ok_or_else(error)?;
        units = units.get(place + 1..).unwrap_or_default();
        let millis = number.checked_mul(*millis).ok_or_else(error)?;
        sum = sum.checked_add(millis).ok_or_else(error)?;
        rest = after;
    }
    Ok(Span::millis(sum))
}

/// Parses a sign and a length of time as [`span`] does.
pub fn signed_span(text: &str) -> Result<SignedSpan, QuantityError> {
    let error = || QuantityError::SignedSpan(shortened(text));
    let text = text.trim();
    let ahead = text.strip_prefix('+').map(|rest| (rest, true));
    let (rest, ahead) = ahead
        .or_else(|| text.strip_prefix('-').map(|rest| (rest, false)))
        .ok_or_else(error)?;
    let length = span(rest).map_err(|_length| error())?;
    Ok(if ahead {
        SignedSpan::Ahead(length)
    } else {
        SignedSpan::Back(length)
    })
}

/// Parses a percentage from 0 to 100 in base ten that is no finer than a tenth.
pub fn exact_percent(number: &str) -> Option<PerMille> {
    let (tenths, finer) = tenths(number)?;
    (!finer).then(|| PerMille::new(tenths))
}

/// Parses a percentage from 0 to 100 in base ten, as something that is compared with levels in whole percent.
///
/// What is finer than a tenth goes to the next tenth that is no whole percent, so that 90.05 is above 90 and 19.95 below 20,
/// as they are.
pub fn percent(number: &str) -> Option<PerMille> {
    let (tenths, finer) = tenths(number)?;
    let up = finer && !(tenths + 1).is_multiple_of(10);
    Some(PerMille::new(tenths + u16::from(up)))
}

/// Whole tenths of a percentage from 0 to 100, and whether something finer was cut off.
fn tenths(number: &str) -> Option<(u16, bool)> {
    // Display of a float has no exponent and the fewest digits that tell it from its neighbours: those that were written.
    let value: f64 = number.parse().ok()?;
    let digits = (0.0..=100.0)
        .contains(&value)
        .then(|| value.abs().to_string())?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let whole: u16 = whole.parse().ok()?;
    let (tenth, finer) = fraction.split_at(fraction.len().min(1));
    let tenth: u16 = if tenth.is_empty() {
        0
    } else {
        tenth.parse().ok()?
    };
    Some((whole * 10 + tenth, !finer.is_empty()))
}

/// Parses a size: one whole number and a unit.
pub fn size(text: &str) -> Result<Bytes, QuantityError> {
    let error = || QuantityError::Size(shortened(text));
    let (number, unit, after) = part(text.trim()).ok_or_else(error)?;
    let known = SIZES.iter().find(|(name, _)| *name == unit);
    let (_, bytes) = known.ok_or_else(error)?;
    let bytes = number.checked_mul(*bytes).ok_or_else(error)?;
    after.is_empty().then_some(Bytes(bytes)).ok_or_else(error)
}

/// A time as [`span`] reads it.
pub fn span_text(span: Span) -> String {
    let mut rest = span.as_millis();
    let mut text = String::new();
    for (unit, millis) in SPANS {
        if rest >= millis {
            text.push_str(&(rest / millis).to_string());
            text.push_str(unit);
            rest %= millis;
        }
    }
    if text.is_empty() {
        "0s".clone_into(&mut text);
    }
    text
}

/// A size as [`size`] reads it, in the largest unit that is exact.
pub fn size_text(size: Bytes) -> String {
    let exact = |(_, bytes): &&(&str, u64)| size.0 >= *bytes && size.0.is_multiple_of(*bytes);
    match SIZES.iter().find(exact) {
        Some((unit, bytes)) => format!("{} {unit}", size.0 / bytes),
        None => format!("{} B", size.0),
    }
}

/// A number, its unit, and what follows.
fn part(text: &str) -> Option<(u64, &str, &str)> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = text.split_at(unit_at);
    let rest = rest.trim_start();
    let end = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(end);
    Some((number.parse().ok()?, unit, after.trim_start()))
}

fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(64);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_alike() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("25s", 25_000),
            ("1h30m", 5_400_000),
            ("3d", 259_200_000),
            ("1d1h1m1s1ms", 90_061_001),
        ] {
            assert_eq!(span(text), Ok(Span::millis(millis)), "{text}");
            assert_eq!(span_text(Span::millis(millis)), text);
        }
        assert_eq!(span(" 1h 30m "), Ok(Span::minutes(90)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "25",
            "s",
            "25 x",
            "1.5h",
            "-1s",
            "30m1h",
            "1m1m",
            "1h30",
            "99999999999999999999s",
            "9999999999999999d",
            "+1s",
            "1_000s",
        ] {
            assert_eq!(span(text), Err(QuantityError::Span(text.to_owned())));
        }
    }

    #[test]
    fn times_have_a_sign_where_a_direction_is_asked() {
        let hour = Span::hours(1);
        assert_eq!(signed_span("+1h"), Ok(SignedSpan::Ahead(hour)));
        assert_eq!(signed_span("-60m"), Ok(SignedSpan::Back(hour)));
        for text in ["1h", "+", "-", "--1h", "+-1h", ""] {
            let error = QuantityError::SignedSpan(text.to_owned());
            assert_eq!(signed_span(text), Err(error));
        }
    }

    #[test]
    fn percentages_stay_on_their_side_of_a_level() {
        for (text, tenths) in [
            ("0", 0),
            ("100", 1000),
            ("89.5", 895),
            ("90.0", 900),
            ("33.1", 331),
            ("9e1", 900),
            ("-0.0", 0),
            ("90.05", 901),
            ("19.95", 199),
            ("89.55", 896),
            ("0.001", 1),
            ("99.999", 999),
        ] {
            assert_eq!(percent(text), Some(PerMille::new(tenths)), "{text}");
        }
        for text in ["-1", "100.1", "nan", "inf", "", "x"] {
            assert_eq!(percent(text), None, "{text}");
        }
        assert_eq!(exact_percent("89.5"), Some(PerMille::new(895)));
        assert_eq!(exact_percent("89.55"), None);
    }

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in [
            ("20 MiB", 20 << 20),
            ("20 MB", 20_000_000),
            ("1 GiB", 1 << 30),
            ("5 KB", 5_000),
            ("7 B", 7),
        ] {
            assert_eq!(size(text), Ok(Bytes(bytes)), "{text}");
            assert_eq!(size_text(Bytes(bytes)), text);
        }
        assert_eq!(size("20MiB"), Ok(Bytes::mib(20)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "20",
            "MiB",
            "20 mib",
            "20 MiB 3 B",
            "1.5 GiB",
            "-1 B",
            "99999999999999999999 B",
            "99999999999 GiB",
        ] {
            assert_eq!(size(text), Err(QuantityError::Size(text.to_owned())));
        }
    }
}
