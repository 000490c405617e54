//! CPU pressure (PSI): the share of the last minute in which something waited for a CPU (INT-14).
//!
//! The kernel tells of pressure that rises past a threshold, not of an average that falls: the average is looked at every
//! [`LOOK`], only while somebody is interested.

use std::io;
use std::path::Path;
use std::time::Duration;

use lull_policy::{Level, PerMille, Reading};

use super::{Post, Report, Reporter, WatchError, assumed};
use crate::durable_file;

/// Where the kernel shows it.
pub(super) const CPU: &str = "/proc/pressure/cpu";

/// Bytes of the file: two lines.
const FILE: u64 = 512;

/// Between two looks; the average itself moves every two seconds, over a minute.
const LOOK: Duration = Duration::from_secs(15);

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    let mut reporter = Reporter::new(post);
    loop {
        let share = read(&post.pressure).map_err(|source| WatchError::Source {
            what: "reading the CPU pressure",
            source,
        })?;
        let Some(share) = share else {
            return assumed::watch(post, vec![Reading::CpuPressure(Level::Unknown)]).await;
        };
        let mut report = Report::default();
        let source = format!("{}: some, 60 s", post.pressure.display());
        report.add(Reading::CpuPressure(share), source);
        let pause = reporter.report(report)?;
        tokio::time::sleep(pause.unwrap_or(LOOK)).await;
    }
}

/// The level; absent where the kernel does not count pressure.
fn read(file: &Path) -> io::Result<Option<Level<PerMille>>> {
    let bytes = match durable_file::read(file, FILE) {
        // Built in and switched off: it is there and cannot be read.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(None),
        read => read?,
    };
    Ok(bytes.map(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        average(&text).map_or(Level::Unknown, Level::Known)
    }))
}

/// `some avg10=0.12 avg60=1.34 avg300=0.50 total=…`: the figure of one minute, cut to tenths.
fn average(text: &str) -> Option<PerMille> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let figure = line
        .split(' ')
        .find_map(|part| part.strip_prefix("avg60="))?;
    let (whole, part) = figure.split_once('.')?;
    let tenths: u16 = part.get(..1)?.parse().ok()?;
    let whole: u16 = whole.parse().ok().filter(|whole| *whole <= 100)?;
    Some(PerMille::new((whole * 10 + tenths).min(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minute_is_read_and_nonsense_is_not() {
        let text = "some avg10=0.00 avg60=12.37 avg300=1.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(average(text), Some(PerMille::new(123)));
        assert_eq!(
            average("some avg10=0.00 avg60=100.00"),
            Some(PerMille::new(1_000))
        );
        for text in [
            "",
            "some",
            "some avg60=",
            "some avg60=x.1",
            "some avg60=101.0",
            "full avg60=1.00",
        ] {
            assert_eq!(average(text), None, "{text:?}");
        }
    }
}
