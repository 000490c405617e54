//! `lull what-if`: which tasks of recorded devices another policy would let run more, fewer or never.
//!
//! All files are read before anything is printed. Deliberately absent: a node; nothing of this machine is read but the
//! files.

use std::path::Path;

use lull_testkit::recording::{TaskChange, WhatIf, combine, figures};
use serde_json::{Value, json};

use super::replay::{departed, read_all};
use crate::command::WhatIf as Arguments;
use crate::failure::Failure;
use crate::output::{Output, Rows};
use crate::words::count;

const DAY: u64 = 86_400_000;

/// Runs the verb.
pub(crate) fn run(what_if: &Arguments, output: &Output) -> Result<(), Failure> {
    let policy = read_policy(&what_if.policy);
    let recordings = read_all(&what_if.files);
    let (figures, recordings) = match (policy, recordings) {
        (Ok(figures), Ok(recordings)) => (figures, recordings),
        (Err(policy), Err(Failure::Input(files))) => {
            return Err(Failure::Input(format!("{policy}\n{files}")));
        }
        (Err(policy), _) => return Err(Failure::Input(policy)),
        (Ok(_), Err(files)) => return Err(files),
    };
    let mut comparisons = Vec::new();
    for recording in &recordings {
        let comparison = recording.what_if(&figures);
        for departure in &comparison.departures {
            output.note(departed(recording, departure));
        }
        comparisons.push(comparison);
    }
    let all = combine(&comparisons);
    let devices = comparisons.len();
    if output.json() {
        output.document(&document(&all, devices));
    } else {
        output.table(&table(&all, devices), "no task was registered");
        output.line(format!("\n{}", summary(&all, devices)));
    }
    Ok(())
}

fn read_policy(file: &Path) -> Result<Vec<lull_testkit::recording::FigureChange>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    figures(file, &text).map_err(|error| error.to_string())
}

fn table(all: &WhatIf, devices: usize) -> Rows {
    let mut rows = Rows::new(["TASK", "NOW", "NEW POLICY", "CHANGE", "HELD BACK BY"]);
    for task in &all.tasks {
        rows.push([
            format!("{}/{}", task.app, task.task),
            task.now.to_string(),
            task.then.to_string(),
            task.change.word().to_owned(),
            held_back(task, devices),
        ]);
    }
    rows
}

/// What keeps it, and where, if not everywhere.
fn held_back(task: &TaskChange, devices: usize) -> String {
    let Some(blocked) = &task.blocked else {
        return String::new();
    };
    if task.then > 0 {
        format!("{} on {} of {devices}", blocked.word(), task.starving)
    } else {
        blocked.word().to_owned()
    }
}

fn summary(all: &WhatIf, devices: usize) -> String {
    let tally = all.tally();
    let of = if devices == 1 {
        String::new()
    } else {
        format!(" of {devices} devices")
    };
    format!(
        "Tasks: {} gain, {} lose, {} of these starve.\n\
         Starts: {} now, {} with the new policy.\n\
         Wake-ups a day: {} now, {} with the new policy.\n\
         Recorded: {}{of}, {}; simulated under the policy of that time: {}.{}",
        tally.gain,
        tally.lose,
        tally.starve,
        all.now,
        all.then,
        a_day(all.wake_ups.0, all),
        a_day(all.wake_ups.1, all),
        length(all.length.as_millis()),
        count(all.recorded, "start"),
        all.now,
        left_out(all),
    )
}

fn left_out(all: &WhatIf) -> String {
    match all.left_out {
        0 => String::new(),
        calls => format!(
            "\n{} could not be made again: the run or registration is not there then.",
            count(calls, "call")
        ),
    }
}

/// With one decimal.
fn a_day(wake_ups: u64, all: &WhatIf) -> String {
    let tenths = tenths_a_day(wake_ups, all);
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn tenths_a_day(wake_ups: u64, all: &WhatIf) -> u64 {
    let millis = all.length.as_millis().max(1);
    let tenths = u128::from(wake_ups) * 10 * u128::from(DAY) / u128::from(millis);
    u64::try_from(tenths).unwrap_or(u64::MAX)
}

/// `2d 3h`, `3h 20m`, `50s`.
fn length(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

fn document(all: &WhatIf, devices: usize) -> Value {
    let tally = all.tally();
    let tasks = all.tasks.iter().map(|task| {
        json!({
            "app": task.app,
            "task": task.task,
            "recorded": task.recorded,
            "now": task.now,
            "new_policy": task.then,
            "change": task.change.word(),
            "held_back_by": task.blocked.as_ref().map(lull_testkit::recording::Blocked::word),
            "starving": task.starving,
        })
    });
    json!({
        "recordings": devices,
        "seconds": all.length.as_millis() / 1_000,
        "starts": { "recorded": all.recorded, "now": all.now, "new_policy": all.then },
        "wake_ups": { "now": all.wake_ups.0, "new_policy": all.wake_ups.1 },
        "calls_left_out": all.left_out,
        "gain": tally.gain,
        "lose": tally.lose,
        "starve": tally.starve,
        "tasks": tasks.collect::<Vec<_>>(),
    })
}
