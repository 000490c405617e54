//! `[[app.behaviour]]`: how the runs of a task go.

use std::collections::BTreeMap;

use lull_document::{DocumentError, Refused, Section, time_of, word};
use lull_policy::{Span, TaskName};

use super::needed_task;
use super::words::{ENDS, INTERFACES};
use crate::scenario::{Behaviour, Bind, OnCancel, Progress};

const KEYS: [&str; 2] = ["task", "runs"];

const RUN_KEYS: [&str; 10] = [
    "takes",
    "ends",
    "memory",
    "handles_out_of_memory",
    "on_cancel",
    "progress",
    "updates_card",
    "adds_scheduled",
    "cpu",
    "binds",
];

pub(super) fn read(app: &Section<'_>) -> Result<BTreeMap<TaskName, Vec<Behaviour>>, DocumentError> {
    let mut behaviours = BTreeMap::new();
    for section in app.sections("behaviour", &KEYS)? {
        let task = needed_task(&section, "task")?;
        let runs = section.sections("runs", &RUN_KEYS)?;
        if runs.is_empty() {
            let problem = "has no run; it has to be a list such as [{ takes = \"10s\" }]";
            return Err(section.error("runs", problem));
        }
        let runs = runs.iter().map(run).collect::<Result<_, _>>()?;
        if behaviours.insert(task.clone(), runs).is_some() {
            let problem = format!(
                "{:?} has a behaviour already; put its runs into one list",
                task.as_str()
            );
            return Err(section.error("task", problem));
        }
    }
    Ok(behaviours)
}

fn run(section: &Section<'_>) -> Result<Behaviour, DocumentError> {
    let default = Behaviour::default();
    let takes = unless(section, "takes", "forever")?;
    let ends = section.word("ends", &ENDS)?;
    if takes == Some(Until::Never) && ends.is_some() {
        let problem =
            "a run that takes \"forever\" does not end by itself; leave one of the two out";
        return Err(section.error("ends", problem));
    }
    let on_cancel = unless(section, "on_cancel", "ignore")?;
    Ok(Behaviour {
        takes: match takes {
            None => default.takes,
            Some(Until::Never) => None,
            Some(Until::After(span)) => Some(span),
        },
        ends: ends.unwrap_or_default(),
        memory: section.bytes("memory")?.unwrap_or(default.memory),
        handles_out_of_memory: section.flag("handles_out_of_memory")?.unwrap_or(false),
        on_cancel: match on_cancel {
            None => default.on_cancel,
            Some(Until::Never) => OnCancel::Ignores,
            Some(Until::After(span)) => OnCancel::LeavesAfter(span),
        },
        progress: progress(section)?,
        updates_card: section.time("updates_card")?,
        adds_scheduled: section.flag("adds_scheduled")?.unwrap_or(false),
        cpu: section.time("cpu")?.unwrap_or_default(),
        binds: binds(section)?,
    })
}

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    After(Span),
    Never,
}

/// A time, or the one word that stands for never.
fn unless(
    section: &Section<'_>,
    key: &'static str,
    never: &str,
) -> Result<Option<Until>, DocumentError> {
    let expected = format!("a time such as \"25s\" or \"1h30m\", or {never:?}");
    section.value(key, &expected, |value| match value.as_str() {
        Some(text) if text == never => Ok(Until::Never),
        // Not the time's own error: it would not name the word.
        Some(_) => time_of(value)
            .map(Until::After)
            .map_err(|_time| Refused::Value),
        None => Err(Refused::Type),
    })
}

fn progress(section: &Section<'_>) -> Result<Vec<Progress>, DocumentError> {
    let each = "a pair of a time and a whole number from 0 to 4294967295, such as [\"5s\", 50]";
    let progress = section.items("progress", "a list such as [[\"5s\", 50]]", each, |item| {
        let pair = item
            .as_array()
            .filter(|pair| pair.len() == 2)
            .ok_or(Refused::Type)?;
        let (after, value) = pair.first().zip(pair.get(1)).ok_or(Refused::Type)?;
        let number = value.get_ref().as_integer().ok_or(Refused::Type)?;
        Ok(Progress {
            after: time_of(after.get_ref())?,
            value: u32::from_str_radix(number.as_str(), number.radix())
                .map_err(|_number| Refused::Type)?,
        })
    })?;
    Ok(progress.unwrap_or_default())
}

fn binds(section: &Section<'_>) -> Result<Vec<Bind>, DocumentError> {
    let each = "a pair of a time and an interface, such as [\"5s\", \"cellular\"]";
    let whole = "a list such as [[\"5s\", \"cellular\"]]";
    let binds = section.items("binds", whole, each, |item| {
        let pair = item
            .as_array()
            .filter(|pair| pair.len() == 2)
            .ok_or(Refused::Type)?;
        let (after, interface) = pair.first().zip(pair.get(1)).ok_or(Refused::Type)?;
        let interface = interface.get_ref().as_str().ok_or(Refused::Type)?;
        Ok(Bind {
            after: time_of(after.get_ref())?,
            interface: word(interface, &INTERFACES)?,
        })
    })?;
    Ok(binds.unwrap_or_default())
}
