//! Times, spans and sizes in words, for people.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where and when the reader is.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    /// The reader's time zone.
    pub(crate) zone: TimeZone,
    /// The reader's now.
    pub(crate) now: Timestamp,
}

impl Reader {
    /// Whoever reads this terminal.
    pub(crate) fn here() -> Self {
        Self {
            zone: TimeZone::system(),
            now: crate::clock::wall(),
        }
    }

    /// The time of day, with the date where it is not today's.
    pub(crate) fn moment(&self, at: Timestamp) -> String {
        let (then, today) = (
            at.to_zoned(self.zone.clone()),
            self.now.to_zoned(self.zone.clone()),
        );
        if then.date() == today.date() {
            then.strftime("%H:%M:%S").to_string()
        } else {
            then.strftime("%Y-%m-%d %H:%M").to_string()
        }
    }

    /// How long ago, or in how long.
    pub(crate) fn ago(&self, at: Timestamp) -> String {
        let millis = self.now.as_millisecond() - at.as_millisecond();
        let apart = Duration::from_millis(millis.unsigned_abs());
        match millis {
            -999..=999 => "now".to_owned(),
            1_000.. => format!("{} ago", rough(apart)),
            _ => format!("in {}", rough(apart)),
        }
    }
}

/// A span with one unit: `43 s`, `12 min`, `5 h`, `3 d`.
pub(crate) fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A span to the millisecond where it is short: `12 ms`, `25.004 s`, `4 min 10 s`.
pub(crate) fn exact(span: Duration) -> String {
    let millis = span.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{:03} s", millis / 1_000, millis % 1_000),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, millis / 1_000 % 60),
        _ => format!("{} h {} min", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// A size in binary units with one decimal.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if size < 1_024 {
        return format!("{size} B");
    }
    let mut tenths = u128::from(size) * 10 / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    format!(
        "{}.{} {}",
        tenths / 10,
        tenths % 10,
        UNITS.get(unit).unwrap_or(&"TiB")
    )
}

/// A count with its noun.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = match number {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_short() {
        assert_eq!(exact(Duration::from_millis(25_004)), "25.004 s");
        assert_eq!(exact(Duration::from_secs(250)), "4 min 10 s");
        assert_eq!(rough(Duration::from_secs(59)), "59 s");
        assert_eq!(rough(Duration::from_hours(2)), "2 h");
        assert_eq!(bytes(5_000), "4.8 KiB");
        assert_eq!(bytes(33_554_432), "32.0 MiB");
        assert_eq!(count(1, "device"), "1 device");
        assert_eq!(count(0, "device"), "0 devices");
        assert_eq!(count(2, "process"), "2 processes");
    }

    #[test]
    fn a_moment_says_its_date_when_it_is_another() {
        let reader = Reader {
            zone: TimeZone::UTC,
            now: "2026-03-02T08:00:00Z".parse().unwrap(),
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(reader.moment(at("2026-03-02T07:59:01Z")), "07:59:01");
        assert_eq!(
            reader.moment(at("2026-03-01T07:59:01Z")),
            "2026-03-01 07:59"
        );
        assert_eq!(reader.ago(at("2026-03-02T07:59:01Z")), "59 s ago");
        assert_eq!(reader.ago(at("2026-03-02T08:10:00Z")), "in 10 min");
        assert_eq!(reader.ago(reader.now), "now");
    }
}
