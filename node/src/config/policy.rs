//! `[policy]`: the figures of the machine, by their names there.
//!
//! Every figure is read by the table of `lull_document`. What stands here is what a node adds to it: ranges in which a
//! device still works, and what must fit together.

use lull_document::{DocumentError, Section, policy_figures, quantity};
use lull_policy::{Bytes, Policy, Span};

/// The figures that exist.
pub(super) const KEYS: &[&str] = policy_figures::NAMES;

/// Lives of runs.
const LIVES: [&str; 7] = [
    "task_time",
    "application_time",
    "maintenance_time",
    "device_use_time",
    "servicing_time",
    "periodic_time",
    "intensive_time",
];

/// Memory caps that cannot be taken away.
const CAPS: [&str; 5] = [
    "agent_memory",
    "agent_memory_low",
    "audio_memory",
    "audio_memory_8",
    "audio_memory_7",
];

/// Shorter than this nothing starts on a busy device.
const SHORTEST_LIFE: Span = Span::millis(100);
/// The smallest cap under which a program can be executed at all.
const SMALLEST_MEMORY: Bytes = Bytes::mib(1);
/// Larger than any device; the kernel's own counters end above it.
const LARGEST_MEMORY: Bytes = Bytes(1 << 40);

/// Reads the figures; those left out keep their default.
pub(super) fn read(section: &Section<'_>) -> Result<Policy, DocumentError> {
    ranges(section)?;
    let mut policy = Policy::default();
    for change in policy_figures::read(section)? {
        change.apply(&mut policy);
    }
    fits(section, &policy)?;
    Ok(policy)
}

/// Where a node is stricter than the table, which has to read what a scenario tries out too.
fn ranges(section: &Section<'_>) -> Result<(), DocumentError> {
    for key in LIVES {
        section.span(key, SHORTEST_LIFE..=Span::days(1))?;
    }
    section.span("cancel_grace", Span::ZERO..=Span::minutes(10))?;
    let periods = Span::seconds(1)..=Span::days(30);
    section.span("timer_floor", periods.clone())?;
    section.span("timer_tick", Span::seconds(1)..=Span::hours(1))?;
    section.span("timer_ceiling", periods)?;
    let none = section.value(
        "task_memory",
        "",
        |value| Ok(value.as_str() == Some("none")),
    )?;
    if none != Some(true) {
        section.size("task_memory", SMALLEST_MEMORY..=LARGEST_MEMORY)?;
    }
    for key in CAPS {
        section.size(key, SMALLEST_MEMORY..=LARGEST_MEMORY)?;
    }
    section.whole32("push_queue", 1..=4_096)?;
    section.whole32("push_attempts", 1..=16)?;
    Ok(())
}

/// What must fit together.
fn fits(section: &Section<'_>, policy: &Policy) -> Result<(), DocumentError> {
    let text = quantity::span_text;
    let grace = policy.cancel_grace;
    // Scheduled agents are ended without being asked (RUN-45).
    for (key, life) in [
        ("task_time", policy.task_time),
        ("application_time", policy.application_time),
        ("maintenance_time", policy.maintenance_time),
        ("device_use_time", policy.device_use_time),
        ("servicing_time", policy.servicing_time),
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
