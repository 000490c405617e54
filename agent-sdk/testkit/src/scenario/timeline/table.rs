//! The timeline for people: a table of 80 columns.

use lull_policy::Span;

use super::{Line, Seconds, Value, moment};

/// Columns of a page.
const WIDTH: usize = 80;
/// Columns of the time since the start: `13d 23:59:59.999`.
const TIME: usize = 16;
/// Columns of the event: the longest is `cancel-requested`.
const EVENT: usize = 16;
/// Where what there is to say begins.
const INDENT: usize = TIME + EVENT + 4;

/// The lines as a table with a head, 80 columns wide, with a line break after each row.
pub fn table(lines: &[Line]) -> String {
    let mut out = String::with_capacity(lines.len() * WIDTH);
    row(
        &mut out,
        "SINCE START",
        "EVENT",
        &["TASK AND DETAILS".to_owned()],
    );
    for line in lines {
        row(&mut out, &clock(line.t), line.event, &details(line));
    }
    out
}

/// Writes a row; what does not fit into its last column goes on below.
fn row(out: &mut String, time: &str, event: &str, words: &[String]) {
    let head = format!("{time:<TIME$}  {event:<EVENT$}");
    out.push_str(&head);
    let mut column = INDENT - 2;
    let mut first = true;
    for word in words {
        let gap = if first { 2 } else { 1 };
        let width = word.chars().count();
        if !first && column + gap + width > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else {
            out.push_str(&" ".repeat(gap));
            column += gap;
        }
        first = false;
        column = piece(out, word, column);
    }
    let end = out.trim_end_matches(' ').len();
    out.truncate(end);
    out.push('\n');
}

/// Writes a word, cut where it does not fit into a line; the column after it.
fn piece(out: &mut String, word: &str, mut column: usize) -> usize {
    for character in word.chars() {
        if column == WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(INDENT));
            column = INDENT;
        }
        out.push(character);
        column += 1;
    }
    column
}

/// A time since the start: `1d 02:03:04.5`.
fn clock(t: Span) -> String {
    let millis = t.as_millis();
    let all = millis / 1_000;
    let (days, hours, minutes) = (all / 86_400, all / 3_600 % 24, all / 60 % 60);
    let rest = Span::millis(millis % 60_000);
    let whole = rest.as_millis() / 1_000;
    let pad = if whole < 10 { "0" } else { "" };
    let clock = format!("{hours:02}:{minutes:02}:{pad}{}", Seconds(rest));
    if days == 0 {
        clock
    } else {
        format!("{days}d {clock}")
    }
}

/// The task first, then everything else by name.
fn details(line: &Line) -> Vec<String> {
    let app = line.field("app").map(plain);
    let task = line.field("task").map(plain);
    let subject = match (app, task) {
        (Some(app), Some(task)) => Some(format!("{app}/{task}")),
        (app, task) => app.or(task),
    };
    let rest = line
        .fields
        .iter()
        .filter(|(key, _)| *key != "app" && *key != "task");
    let rest = rest.flat_map(|(key, value)| {
        // Long texts may break between words.
        let said = format!("{key}={}", plain(value));
        let words: Vec<_> = said.split(' ').map(str::to_owned).collect();
        words
    });
    subject.into_iter().chain(rest).collect()
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Word(word) => (*word).to_owned(),
        Value::App(app) => app.to_string(),
        Value::Task(task) => task.to_string(),
        Value::Text(text) => text.replace(char::is_control, " "),
        Value::Number(number) => number.to_string(),
        Value::Seconds(span) => format!("{}s", Seconds(*span)),
        Value::Moment(wall) => moment(*wall),
        Value::Flag(true) => "yes".to_owned(),
        Value::Flag(false) => "no".to_owned(),
        Value::Null => "none".to_owned(),
        Value::List(values) => {
            let values: Vec<_> = values.iter().map(plain).collect();
            if values.is_empty() {
                "none".to_owned()
            } else {
                values.join(", ")
            }
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<_> = fields.map(|(_, value)| plain(value)).collect();
            fields.join(":")
        }
    }
}

#[cfg(test)]
mod tests {
    use lull_policy::Wall;

    use super::*;

    #[test]
    fn a_table_keeps_to_its_columns() {
        let line = Line {
            t: Span::millis(93_784_500),
            at: Wall::from_millis(0),
            event: "cancel-requested",
            fields: vec![
                ("app", Value::Word("an-app-with-a-name-that-is-rather-long")),
                ("task", Value::Text("sync of everything there is".repeat(4))),
                ("id", Value::Number(17)),
                (
                    "reasons",
                    Value::List(vec![Value::Word("slot"), Value::Word("call")]),
                ),
            ],
        };
        let table = table(&[line]);
        assert!(
            table.lines().all(|line| line.chars().count() <= WIDTH),
            "{table}"
        );
        assert!(
            table.contains("1d 02:03:04.5     cancel-requested  an-app"),
            "{table}"
        );
        assert!(table.contains("id=17 reasons=slot, call"), "{table}");
    }
}
