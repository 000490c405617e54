//! `[[expect]]`: what has to be true of a task at the end.

use lull_document::quantity::span_text;
use lull_document::{DocumentError, Refused, Section};
use lull_policy::{AppId, Span, TaskName};

use super::words::{OUTCOMES, REASONS};
use super::{Known, needed};
use crate::scenario::{Between, Expectation, ExpectedOutcomes};

const KEYS: [&str; 9] = [
    "task",
    "starts",
    "first",
    "last",
    "gap",
    "outcomes",
    "waiting_for",
    "scheduled",
    "within",
];

const WINDOW: [&str; 2] = ["after", "before"];
const RANGE: [&str; 2] = ["at_least", "at_most"];

pub(super) fn read(root: &Section<'_>, known: &Known) -> Result<Vec<Expectation>, DocumentError> {
    let sections = root.sections("expect", &KEYS)?;
    let expectation = |section| expectation(section, known);
    sections.iter().map(expectation).collect()
}

fn expectation(section: &Section<'_>, known: &Known) -> Result<Expectation, DocumentError> {
    let (app, task) = needed(section, "task", TASK, |text| task(text, known))?;
    let waiting_for = section.words("waiting_for", &REASONS)?;
    Ok(Expectation {
        place: section.place(),
        app,
        task,
        starts: starts(section)?,
        first: times(section, "first", &WINDOW)?,
        last: times(section, "last", &WINDOW)?,
        gap: times(section, "gap", &RANGE)?,
        outcomes: outcomes(section)?,
        waiting_for: waiting_for.map(|reasons| reasons.into_iter().collect()),
        scheduled: section.flag("scheduled")?,
        within: times(section, "within", &WINDOW)?,
    })
}

const TASK: &str = "an app and its task, such as \"mail/sync\"";

fn task(text: &str, known: &Known) -> Result<(AppId, TaskName), String> {
    let (app, task) = text
        .split_once('/')
        .ok_or_else(|| format!("{text:?} is not {TASK}"))?;
    let app = known.find(app)?;
    let task = TaskName::new(task).map_err(|error| error.to_string())?;
    Ok((app, task))
}

/// A number, or a range.
fn starts(section: &Section<'_>) -> Result<Option<Between<u64>>, DocumentError> {
    if !section.is_table("starts") {
        let expected = "a whole number, or { at_least = 1, at_most = 2 } or one of the two";
        return section.value("starts", expected, |value| {
            let number = value.as_integer().ok_or(Refused::Type)?;
            let starts = u64::from_str_radix(number.as_str(), number.radix());
            let starts = starts.map_err(|_number| Refused::Value)?;
            Ok(Between {
                low: Some(starts),
                high: Some(starts),
            })
        });
    }
    let Some(inner) = section.section("starts", &RANGE)? else {
        return Ok(None);
    };
    let number = |key| inner.whole(key, 0..=u64::MAX);
    between(&inner, &RANGE, number, u64::to_string).map(Some)
}

fn times(
    section: &Section<'_>,
    key: &'static str,
    ends: &'static [&'static str; 2],
) -> Result<Option<Between<Span>>, DocumentError> {
    let Some(inner) = section.section(key, ends)? else {
        return Ok(None);
    };
    let text = |span: &Span| format!("{:?}", span_text(*span));
    between(&inner, ends, |key| inner.time(key), text).map(Some)
}

/// A range of which one end at least is there, and which has something in it.
fn between<T: PartialOrd>(
    inner: &Section<'_>,
    [low_key, high_key]: &[&'static str; 2],
    read: impl Fn(&'static str) -> Result<Option<T>, DocumentError>,
    text: impl Fn(&T) -> String,
) -> Result<Between<T>, DocumentError> {
    let (low, high) = (read(low_key)?, read(high_key)?);
    match (&low, &high) {
        (None, None) => {
            let problem = format!("nothing is named; it has to be {low_key}, {high_key} or both");
            Err(inner.error_here(problem))
        }
        (Some(low), Some(high)) if low > high => {
            let (low, high) = (text(low), text(high));
            let problem =
                format!("{low} lies above {high_key} = {high}; it has to be at most that");
            Err(inner.error(low_key, problem))
        }
        _ => Ok(Between { low, high }),
    }
}

/// A list in order, or one outcome for all.
fn outcomes(section: &Section<'_>) -> Result<Option<ExpectedOutcomes>, DocumentError> {
    if !section.is_table("outcomes") {
        let list = section.words("outcomes", &OUTCOMES)?;
        return Ok(list.map(ExpectedOutcomes::List));
    }
    let Some(inner) = section.section("outcomes", &["all"])? else {
        return Ok(None);
    };
    let all = super::needed_word(&inner, "all", &OUTCOMES)?;
    Ok(Some(ExpectedOutcomes::All(all)))
}
