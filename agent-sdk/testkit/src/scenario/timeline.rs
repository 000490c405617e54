//! The timeline: one line for each thing that happened, for programs (JSON Lines) and for people (a table).
//!
//! Deliberately absent: what a line says of an observation; that is `observed`.

mod observed;
mod table;
pub(crate) mod words;

use std::fmt::{self, Display, Formatter, Write as _};

use lull_policy::{AppId, Span, TaskName, Wall};

pub(crate) use observed::{Fields, Recorder};
pub use table::table;

/// A line of the timeline: its keys come in a fixed order, so that two runs of one file print the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Since the start; clock steps, suspends and boots do not move it.
    pub t: Span,
    /// The device's wall clock.
    pub at: Wall,
    /// What happened.
    pub event: &'static str,
    /// What there is to say of it, in the order of the contract.
    pub fields: Vec<(&'static str, Value)>,
}

/// A value of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word of the contract.
    Word(&'static str),
    /// An app.
    App(AppId),
    /// A task.
    Task(TaskName),
    /// Any other text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// A length of time, in seconds with at most three decimals.
    Seconds(Span),
    /// A moment of the wall clock, as RFC 3339 in UTC.
    Moment(Wall),
    /// Yes or no.
    Flag(bool),
    /// Nothing.
    Null,
    /// Several.
    List(Vec<Value>),
    /// Named values, in a fixed order.
    Object(Vec<(&'static str, Value)>),
}

impl Value {
    /// The value, or nothing.
    pub(super) fn or_null<T>(value: Option<T>, of: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, of)
    }

    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => quote(f, word),
            Self::App(app) => quote(f, app.as_str()),
            Self::Task(task) => quote(f, task.as_str()),
            Self::Text(text) => quote(f, text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Seconds(span) => write!(f, "{}", Seconds(*span)),
            Self::Moment(wall) => quote(f, &moment(*wall)),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Null => f.write_str("null"),
            Self::List(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    value.write(f)?;
                }
                f.write_char(']')
            }
            Self::Object(fields) => {
                f.write_char('{')?;
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        f.write_char(',')?;
                    }
                    quote(f, key)?;
                    f.write_char(':')?;
                    value.write(f)?;
                }
                f.write_char('}')
            }
        }
    }
}

impl Line {
    /// The line as one JSON object, without a line break.
    pub fn to_json(&self) -> String {
        self.to_string()
    }

    /// A field of the line.
    pub fn field(&self, key: &str) -> Option<&Value> {
        let mut fields = self.fields.iter();
        fields
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }
}

/// The JSON of [`Line::to_json`].
impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"t\":{},\"at\":", Seconds(self.t))?;
        quote(f, &moment(self.at))?;
        f.write_str(",\"event\":")?;
        quote(f, self.event)?;
        for (key, value) in &self.fields {
            f.write_char(',')?;
            quote(f, key)?;
            f.write_char(':')?;
            value.write(f)?;
        }
        f.write_char('}')
    }
}

/// A span of time in seconds, with as many decimals as there are, three at most.
pub(super) struct Seconds(pub(super) Span);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        write!(f, "{}", millis / 1_000)?;
        let (rest, width) = match millis % 1_000 {
            0 => return Ok(()),
            rest if rest % 100 == 0 => (rest / 100, 1),
            rest if rest % 10 == 0 => (rest / 10, 2),
            rest => (rest, 3),
        };
        write!(f, ".{rest:0width$}")
    }
}

/// A moment as RFC 3339 in UTC.
pub(super) fn moment(wall: Wall) -> String {
    crate::world::moment(wall).map_or_else(
        || format!("{} ms", wall.as_millis()),
        |moment| moment.to_string(),
    )
}

/// A JSON string.
fn quote(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if u32::from(control) < 0x20 => write!(f, "\\u{:04x}", u32::from(control))?,
            plain => f.write_char(plain)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_in_a_fixed_order() {
        let line = Line {
            t: Span::millis(1_500),
            at: Wall::from_millis(1_772_438_401_500),
            event: "ended",
            fields: vec![
                ("app", Value::Text("a \"quoted\"\n\u{1} word".to_owned())),
                ("ran", Value::Seconds(Span::millis(90_050))),
                ("limit", Value::Null),
                (
                    "tasks",
                    Value::List(vec![
                        Value::Object(vec![("task", Value::Word("x")), ("id", Value::Number(0))]),
                        Value::Flag(true),
                    ]),
                ),
            ],
        };
        assert_eq!(
            line.to_json(),
            "{\"t\":1.5,\"at\":\"2026-03-02T08:00:01.5Z\",\"event\":\"ended\",\
             \"app\":\"a \\\"quoted\\\"\\n\\u0001 word\",\"ran\":90.05,\"limit\":null,\
             \"tasks\":[{\"task\":\"x\",\"id\":0},true]}"
        );
    }

    #[test]
    fn seconds_have_three_decimals_at_most() {
        for (millis, text) in [
            (0, "0"),
            (1, "0.001"),
            (10, "0.01"),
            (600, "0.6"),
            (1_200_000, "1200"),
        ] {
            assert_eq!(Seconds(Span::millis(millis)).to_string(), text);
        }
    }
}
