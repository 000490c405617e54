//! `lull replay`: the decisions of a recorded device again, with their timeline.
//!
//! All files are read before anything is printed. Where a replay does not agree with its recording, a note on the standard
//! error says so. Deliberately absent: a node; nothing of this machine is read but the files.

use std::path::{Path, PathBuf};

use lull_testkit::recording::{Departure, concerns};
use lull_testkit::scenario::Line;
use lull_testkit::{Recording, Span, scenario};

use crate::command::Replay;
use crate::failure::Failure;
use crate::output::Output;
use crate::words::count;

/// Runs the verb.
pub(crate) fn run(replay: &Replay, output: &Output) -> Result<(), Failure> {
    let recordings = read_all(&replay.files)?;
    let until = replay.until.map(|until| {
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        Span::millis(millis)
    });
    for recording in &recordings {
        let replayed = recording.replay();
        let lines = replayed.timeline.into_iter();
        let lines = lines.filter(|line| until.is_none_or(|until| line.t <= until));
        let lines: Vec<Line> = lines
            .filter(|line| {
                let task = replay.task.as_ref();
                task.is_none_or(|(app, task)| concerns(line, app, task))
            })
            .collect();
        print(
            recording,
            &lines,
            replay.table,
            recordings.len() > 1,
            output,
        );
        let departures = replayed.departures.iter();
        let departures = departures.filter(|one| until.is_none_or(|until| one.t <= until));
        for departure in departures {
            output.note(departed(recording, departure));
        }
    }
    Ok(())
}

fn print(recording: &Recording, lines: &[Line], table: bool, named: bool, output: &Output) {
    if table {
        let rows = scenario::table(lines);
        let rows = rows.trim_end();
        if named {
            let device = &recording.header.device;
            output.line(format!("{}: {device}\n{rows}", recording.file.display()));
        } else {
            output.line(rows);
        }
    } else if !lines.is_empty() {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        output.line(lines.join("\n"));
    }
}

/// Where a replay does not agree with its recording.
pub(super) fn departed(recording: &Recording, departure: &Departure) -> String {
    let records = u64::try_from(departure.keys.len()).unwrap_or(u64::MAX);
    let first = departure.keys.first().map(|key| format!("{key:?}"));
    format!(
        "{}:{}: the replay differs from the recording in {}, the first is {}; it goes on from what was recorded (by node {}, replayed \
         by {})",
        recording.file.display(),
        departure.line,
        count(records, "record"),
        first.unwrap_or_default(),
        recording.header.node,
        env!("CARGO_PKG_VERSION"),
    )
}

/// Every recording, or everything that is wrong with the files.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Recording>, Failure> {
    let mut recordings = Vec::new();
    let mut wrong = Vec::new();
    for file in files {
        match read(file) {
            Ok(recording) => recordings.push(recording),
            Err(problem) => wrong.push(problem),
        }
    }
    if wrong.is_empty() {
        Ok(recordings)
    } else {
        Err(Failure::Input(wrong.join("\n")))
    }
}

fn read(file: &Path) -> Result<Recording, String> {
    let bytes = std::fs::read(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    Recording::read(file, &bytes).map_err(|error| error.to_string())
}
