//! Scenarios in a few words: a device with one app, and its timeline in short.

use std::path::Path;

use lull_testkit::Scenario;
use lull_testkit::scenario::{Line, Value};

/// A file with the app `a`, allowed, whose entry points `w` and `u` may be used for everything.
pub(crate) fn device(head: &str, app: &str, rest: &str) -> String {
    format!(
        r#"
name   = "a test"
start  = "2026-03-02T08:00:00Z"
length = "2h"
{head}
[[app]]
id = "a"
access = "allowed"
capabilities = ["sms"]
{app}
[[app.agent]]
entry_point = "w"
types = ["timer", "system-event", "push-notification", "general", "control-channel", "device-use"]
[[app.agent]]
entry_point = "u"
types = ["scheduled"]
{rest}
"#
    )
}

/// A step that registers `name` in the app `a` at T+0.
pub(crate) fn register(name: &str, trigger: &str) -> String {
    format!(
        r#"
[[step]]
at = "0s"
app = "a"
call = "register"
args = {{ name = "{name}", entry_point = "w", trigger = {{ {trigger} }} }}
expect = "ok"
"#
    )
}

/// A step.
pub(crate) fn step(at: &str, what: &str) -> String {
    format!("[[step]]\nat = \"{at}\"\n{what}\n")
}

/// The timeline of a file, each line as its time in seconds, its event and its values; without ids, hosts, limits and
/// messages, and without the calls at T+0.
pub(crate) fn timeline(text: &str) -> Vec<String> {
    let scenario = Scenario::read(Path::new("test.toml"), text).unwrap_or_else(|e| panic!("{e}"));
    let outcome = scenario.run(None);
    assert_eq!(outcome.failures, []);
    let lines = outcome.timeline.iter();
    lines
        .filter(|line| line.event != "call" || line.t.as_millis() > 0)
        .map(short)
        .collect()
}

fn short(line: &Line) -> String {
    const LEFT_OUT: [&str; 5] = ["id", "host", "deadline", "network", "message"];
    let mut words = vec![
        (f64::from(u32::try_from(line.t.as_millis()).expect("a short test")) / 1_000.0).to_string(),
        line.event.to_owned(),
    ];
    let pushes = line.event == "push";
    let fields = line.fields.iter();
    words.extend(
        fields
            .filter(|(key, _)| !LEFT_OUT.contains(key) || (pushes && *key == "id"))
            .map(|(_, value)| plain(value)),
    );
    words.join(" ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Word(word) => (*word).to_owned(),
        Value::App(app) => app.to_string(),
        Value::Task(task) => task.to_string(),
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Seconds(span) => format!("{}ms", span.as_millis()),
        Value::Moment(wall) => wall.as_millis().to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Null => "null".to_owned(),
        Value::List(values) => {
            let values: Vec<_> = values.iter().map(plain).collect();
            format!("[{}]", values.join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(_, value)| plain(value)).collect();
            format!("({})", fields.join(" "))
        }
    }
}
