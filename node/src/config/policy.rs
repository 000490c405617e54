//! `[policy]`: the figures of the machine, by their names there.

use lull_policy::{Bytes, PerMille, Policy, Span};

use super::document::{DocumentError, Refused, Section};
use super::{put, quantity};

/// The figures that exist.
pub(super) const KEYS: [&str; 10] = [
    "task_time",
    "cancel_grace",
    "application_time",
    "task_memory",
    "timer_floor",
    "timer_tick",
    "timer_ceiling",
    "saver_level",
    "push_queue",
    "push_attempts",
];

/// Shorter than this nothing starts on a busy device.
const SHORTEST_LIFE: Span = Span::millis(100);
/// The smallest cap under which a program can be executed at all.
const SMALLEST_MEMORY: Bytes = Bytes::mib(1);
/// Larger than any device; the kernel's own counters end above it.
const LARGEST_MEMORY: Bytes = Bytes(1 << 40);

/// Reads the figures; those left out keep their default.
pub(super) fn read(section: &Section<'_>) -> Result<Policy, DocumentError> {
    let mut policy = Policy::default();
    let lives = SHORTEST_LIFE..=Span::days(1);
    put(
        &mut policy.task_time,
        section.span("task_time", lives.clone())?,
    );
    put(
        &mut policy.cancel_grace,
        section.span("cancel_grace", Span::ZERO..=Span::minutes(10))?,
    );
    put(
        &mut policy.application_time,
        section.span("application_time", lives)?,
    );
    take_memory(section, &mut policy.task_memory)?;
    let periods = Span::seconds(1)..=Span::days(30);
    put(
        &mut policy.timer_floor,
        section.span("timer_floor", periods.clone())?,
    );
    put(
        &mut policy.timer_tick,
        section.span("timer_tick", Span::seconds(1)..=Span::hours(1))?,
    );
    put(
        &mut policy.timer_ceiling,
        section.span("timer_ceiling", periods)?,
    );
    let expected = "a charge in quotes, from \"0 %\" to \"100 %\"";
    put(
        &mut policy.saver_level,
        section.value("saver_level", expected, |value| {
            value
                .as_str()
                .ok_or(Refused::Type)
                .and_then(|text| charge(text).ok_or(Refused::Value))
        })?,
    );
    put(
        &mut policy.push_queue,
        section.whole32("push_queue", 1..=4_096)?,
    );
    put(
        &mut policy.push_attempts,
        section.whole32("push_attempts", 1..=16)?,
    );
    fits(section, &policy)?;
    Ok(policy)
}

/// A memory cap or "none".
fn take_memory(section: &Section<'_>, place: &mut Option<Bytes>) -> Result<(), DocumentError> {
    let none = section.value(
        "task_memory",
        "",
        |value| Ok(value.as_str() == Some("none")),
    )?;
    if none == Some(true) {
        *place = None;
    } else if let Some(size) = section.size("task_memory", SMALLEST_MEMORY..=LARGEST_MEMORY)? {
        *place = Some(size);
    }
    Ok(())
}

/// What must fit together.
fn fits(section: &Section<'_>, policy: &Policy) -> Result<(), DocumentError> {
    let text = quantity::span_text;
    let grace = policy.cancel_grace;
    for (key, life) in [
        ("task_time", policy.task_time),
        ("application_time", policy.application_time),
    ] {
        if grace >= life {
            let problem = format!(
                "{:?} leaves no time before {key} ({:?}) ends; make it shorter than that",
                text(grace),
                text(life)
            );
            return Err(section.error("cancel_grace", problem));
        }
    }
    if policy.timer_floor >= policy.timer_ceiling {
        let problem = format!(
            "{:?} leaves no period below timer_ceiling ({:?}); make it shorter than that",
            text(policy.timer_floor),
            text(policy.timer_ceiling)
        );
        return Err(section.error("timer_floor", problem));
    }
    Ok(())
}

/// A charge such as "20 %".
pub(super) fn charge(text: &str) -> Option<PerMille> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let percent: u16 = digits.then(|| number.parse().ok()).flatten()?;
    (percent <= 100).then(|| PerMille::percent(percent))
}
