//! Spans of time as people write them: `90s`, `25m`, `36h`, `14d`, `1h30m`, `250ms`.

use std::time::Duration;

/// A span that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no span of time; write for instance 90s, 25m, 36h, 14d, 1h30m or 250ms")]
pub(crate) struct SpanError(String);

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads a span.
pub(crate) fn parse(text: &str) -> Result<Duration, SpanError> {
    let error = || SpanError(text.to_owned());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(error());
    }
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let factor = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(error)?
            .1;
        let number: u64 = number.parse().ok().ok_or_else(error)?;
        millis = number
            .checked_mul(factor)
            .and_then(|part| millis.checked_add(part))
            .ok_or_else(error)?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, millis) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("25m", 1_500_000),
            ("1h30m", 5_400_000),
            ("14d", 1_209_600_000),
            (" 3d ", 259_200_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "5x",
            "1h5",
            "99999999999999999999s",
            "5µs",
            "é",
        ] {
            assert_eq!(parse(text), Err(SpanError(text.to_owned())), "{text}");
        }
    }
}
