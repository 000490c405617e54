//! Writes a life as a scenario file (the format that `lull simulate` runs), so that a breach can be read, replayed and kept.
//!
//! A scenario's world is kinder than this one: commits are instant, the link holds, deadlines are met. What it has no
//! word for stands in the file as a comment.

mod steps;

use std::fmt::Write as _;

use lull_policy::{
    AgentDeclaration, Bytes, Capability, DeviceKind, Policy, QuotaProfile, Readings,
};
use serde::Serialize;
use serde_json::Value;

use crate::agents::{Behaviour, Ends};
use crate::checkers::Breach;
use crate::plan::{Plan, PlannedApp};

/// The file of a life.
pub(crate) fn write(plan: &Plan, breach: &Breach) -> String {
    let mut file = String::new();
    let mut line = |text: String| {
        file.push_str(&text);
        file.push('\n');
    };
    line(format!(
        "# Found by the simulation in the {} life of seed {}.",
        plan.kind.word(),
        plan.seed
    ));
    line(format!(
        "# {}: {}",
        breach.rule,
        breach.found.replace('\n', " ")
    ));
    if plan.commit > 0 || !plan.prompt {
        line(format!(
            "# There, a commit took {} ms and watchers reported {}.",
            plan.commit,
            if plan.prompt {
                "at once"
            } else {
                "within seconds"
            }
        ));
    }
    line(format!("name   = \"seed {}\"", plan.seed));
    line("start  = \"2026-03-02T00:00:00Z\"".to_owned());
    line(format!("length = {}", duration(plan.length.max(1))));
    line("\n[profile]".to_owned());
    let kind = match plan.profile.kind {
        DeviceKind::Pc => "pc",
        DeviceKind::Phone => "phone",
        DeviceKind::Headless => "headless",
    };
    line(format!("kind = \"{kind}\""));
    if let Some(memory) = plan.profile.memory {
        line(format!("memory = {}", size(memory)));
    }
    line("\n[policy]".to_owned());
    for figure in figures(&plan.policy, &Policy::default()) {
        line(figure);
    }
    line("\n[readings]".to_owned());
    for reading in all_readings(&plan.readings) {
        line(reading);
    }
    for planned in &plan.apps {
        line(app(planned));
    }
    line(steps::write(plan));
    file
}

/// A length of time as the format has it.
fn duration(millis: u64) -> String {
    match millis {
        _ if millis.is_multiple_of(60_000) && millis > 0 => format!("\"{}m\"", millis / 60_000),
        _ if millis.is_multiple_of(1_000) => format!("\"{}s\"", millis / 1_000),
        _ => format!("\"{millis}ms\""),
    }
}

fn size(bytes: Bytes) -> String {
    format!("\"{} MiB\"", bytes.0 >> 20)
}

/// A word of the model, which the format shares.
fn word(of: &impl Serialize) -> String {
    toml(&serde_json::to_value(of).unwrap_or_default())
}

/// A value on one line. A word alone that stands where the format has a table is the caller's business.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| format!("{key} = {}", toml(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// The figures that differ, one a line.
fn figures(policy: &Policy, from: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    let mut differs = |name: &str, same: bool, value: String| {
        if !same {
            lines.push(format!("{name} = {value}"));
        }
    };
    let (now, was) = (policy, from);
    let millis = |span: lull_policy::Span| duration(span.as_millis());
    differs(
        "task_time",
        now.task_time == was.task_time,
        millis(now.task_time),
    );
    let grace = now.cancel_grace;
    differs("cancel_grace", grace == was.cancel_grace, millis(grace));
    if let Some(cap) = now.task_memory {
        differs("task_memory", now.task_memory == was.task_memory, size(cap));
    }
    let queue = now.push_queue;
    differs("push_queue", queue == was.push_queue, queue.to_string());
    let attempts = now.push_attempts;
    differs(
        "push_attempts",
        attempts == was.push_attempts,
        attempts.to_string(),
    );
    let crashes = now.crash_limit;
    differs(
        "crash_limit",
        crashes == was.crash_limit,
        crashes.to_string(),
    );
    let ends = now.periodic_ends_on_saver;
    differs(
        "periodic_ends_on_saver",
        ends == was.periodic_ends_on_saver,
        ends.to_string(),
    );
    let quota = match now.quota_profile {
        QuotaProfile::PerActivation => "\"per-activation\"",
        QuotaProfile::Windows8 => "\"windows8\"",
    };
    differs(
        "quota_profile",
        now.quota_profile == was.quota_profile,
        quota.to_owned(),
    );
    differs(
        "apps_in_background",
        now.apps_in_background == was.apps_in_background,
        word(&now.apps_in_background),
    );
    lines
}

fn all_readings(readings: &Readings) -> Vec<String> {
    let all = lull_policy::Source::ALL
        .into_iter()
        .flat_map(|source| readings.of(source));
    all.filter_map(|reading| steps::reading(&reading))
        .filter(|(name, _)| *name != "zone")
        .map(|(name, value)| format!("{name} = {value}"))
        .collect()
}

fn app(planned: &PlannedApp) -> String {
    let app = &planned.app;
    let mut text = format!(
        "\n[[app]]\nid = \"{}\"\nversion = \"{}\"\n",
        app.id, app.version
    );
    let special: Vec<String> = app
        .capabilities
        .iter()
        .filter(|capability| {
            !matches!(
                capability,
                Capability::Internet | Capability::Device | Capability::Media
            )
        })
        .map(word)
        .collect();
    let special = special.join(", ");
    let signer = word(&app.signed_by);
    write!(text, "capabilities = [{special}]\nsigned_by = {signer}\n").expect("text takes text");
    for declared in &app.agents {
        text.push_str(&agent(declared));
    }
    for (task, runs) in &planned.behaviours {
        if *runs == [Behaviour::default()] {
            continue;
        }
        let runs: Vec<String> = runs.iter().map(behaviour).collect();
        let runs = runs.join(",\n    ");
        write!(
            text,
            "\n  [[app.behaviour]]\n  task = \"{task}\"\n  runs = [\n    {runs},\n  ]\n"
        )
        .expect("text takes text");
    }
    text
}

fn agent(declared: &AgentDeclaration) -> String {
    let types: Vec<String> = declared.types.iter().map(word).collect();
    let mut text = format!(
        "\n  [[app.agent]]\n  entry_point = \"{}\"\n  types = [{}]\n",
        declared.entry_point,
        types.join(", ")
    );
    if let Some(memory) = declared.memory {
        writeln!(text, "  memory = {}", size(memory)).expect("text takes text");
    }
    if let Some(time) = declared.time {
        // The format has no key for it.
        writeln!(text, "  # time = {}", duration(time.as_millis())).expect("text takes text");
    }
    text
}

fn behaviour(run: &Behaviour) -> String {
    let mut keys = Vec::new();
    match run.takes {
        None => keys.push("takes = \"forever\"".to_owned()),
        Some(takes) => {
            let ends = match run.ends {
                Ends::Complete => "complete",
                Ends::Abort => "abort",
                Ends::Crash => "crash",
                Ends::Silent => "exit-without-completing",
            };
            keys.push(format!("takes = {}", duration(takes)));
            keys.push(format!("ends = \"{ends}\""));
        }
    }
    match run.on_cancel {
        None => keys.push("on_cancel = \"ignore\"".to_owned()),
        Some(0) => {}
        Some(after) => keys.push(format!("on_cancel = {}", duration(after))),
    }
    if run.greedy {
        keys.push("memory = \"4096 MiB\"".to_owned());
    }
    if let Some(after) = run.progress {
        keys.push(format!("progress = [[{}, 50]]", duration(after)));
    }
    if let Some(after) = run.card {
        keys.push(format!("updates_card = {}", duration(after)));
    }
    if run.hungry {
        keys.push("cpu = \"10s\"".to_owned());
    }
    format!("{{ {} }}", keys.join(", "))
}
