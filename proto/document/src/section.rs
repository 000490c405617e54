//! A table of a document: which keys it has, and its lists and tables.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::name::{SHOWN_VALUE, unknown_name};
use crate::{DocumentError, Origin, Place};

/// A table of the document whose keys are all known.
#[derive(Debug)]
pub struct Section<'d> {
    origin: Origin<'d>,
    path: String,
    span: Range<usize>,
    table: &'d DeTable<'d>,
}

impl<'d> Section<'d> {
    pub(crate) fn open(
        origin: Origin<'d>,
        path: &str,
        span: Range<usize>,
        table: &'d DeTable<'d>,
        known: &'static [&'static str],
    ) -> Result<Self, DocumentError> {
        let unknown = table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        let section = Self {
            origin,
            path: path.to_owned(),
            span,
            table,
        };
        match unknown {
            Some(key) => {
                let problem = unknown_name("key", key.get_ref(), known);
                let whole = section.key(key.get_ref());
                Err(origin.error(key.span().start, &whole, problem))
            }
            None => Ok(section),
        }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// An error about the value of `key`, or about this table where it has no such key.
    pub fn error(&self, key: &str, problem: impl Into<String>) -> DocumentError {
        let at = self
            .table
            .get(key)
            .map_or(self.span.start, |value| value.span().start);
        self.origin.error(at, &self.key(key), problem)
    }

    /// An error about this table as a whole.
    pub fn error_here(&self, problem: impl Into<String>) -> DocumentError {
        self.origin.error(self.span.start, &self.path, problem)
    }

    /// Where this table begins.
    pub fn place(&self) -> Place {
        self.origin.place(self.span.start)
    }

    /// The one of `keys` that stands there. None and more than one are refused; `expected` completes "it has to be".
    pub fn one_of(
        &self,
        keys: &[&'static str],
        expected: &str,
    ) -> Result<&'static str, DocumentError> {
        let mut found: Vec<&'static str> = keys.iter().copied().filter(|k| self.has(k)).collect();
        found.sort_by_key(|key| self.table.get(*key).map(|value| value.span().start));
        match found.as_slice() {
            [] => Err(self.error_here(format!("nothing is named; it has to be {expected}"))),
            [key] => Ok(key),
            [first, second, ..] => {
                let problem = format!("stands beside {first:?}; it has to be {expected}");
                Err(self.error(second, problem))
            }
        }
    }

    /// Whether the key stands there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the value of the key is a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.table
            .get(key)
            .is_some_and(|value| value.get_ref().is_table())
    }

    /// The keys that stand there, in the order of their names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// A value, parsed. `expected` completes the sentence "… is not".
    pub fn value<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&DeValue<'d>) -> Result<T, Refused>,
    ) -> Result<Option<T>, DocumentError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        parse(value.get_ref()).map(Some).map_err(|refused| {
            let problem = refused.problem(value.get_ref(), expected);
            self.origin
                .error(value.span().start, &self.key(key), problem)
        })
    }

    /// The error for a key that must be there.
    pub fn missing(&self, key: &str, expected: &str) -> DocumentError {
        self.error(key, format!("missing; it has to be {expected}"))
    }

    /// A list, item by item; `whole` and `each` say what is expected.
    pub fn items<T>(
        &self,
        key: &'static str,
        whole: &str,
        each: &str,
        mut parse: impl FnMut(&DeValue<'d>) -> Result<T, Refused>,
    ) -> Result<Option<Vec<T>>, DocumentError> {
        let Some(array) = self.array(key, whole)? else {
            return Ok(None);
        };
        let item = |(n, item): (usize, &Spanned<DeValue<'d>>)| {
            parse(item.get_ref()).map_err(|refused| {
                let place = format!("{}[{n}]", self.key(key));
                let problem = refused.problem(item.get_ref(), each);
                self.origin.error(item.span().start, &place, problem)
            })
        };
        array
            .iter()
            .enumerate()
            .map(item)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A table with known keys.
    pub fn section(
        &self,
        key: &'static str,
        known: &'static [&'static str],
    ) -> Result<Option<Section<'d>>, DocumentError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        let table = self.inner(value, &self.key(key))?;
        Section::open(self.origin, &self.key(key), value.span(), table, known).map(Some)
    }

    /// A list of tables with known keys (`[[key]]`).
    pub fn sections(
        &self,
        key: &'static str,
        known: &'static [&'static str],
    ) -> Result<Vec<Section<'d>>, DocumentError> {
        let expected = format!("a list of tables ([[{key}]])");
        let Some(array) = self.array(key, &expected)? else {
            return Ok(Vec::new());
        };
        let open = |(n, value): (usize, &'d Spanned<DeValue<'d>>)| {
            let path = format!("{}[{n}]", self.key(key));
            let table = self.inner(value, &path)?;
            Section::open(self.origin, &path, value.span(), table, known)
        };
        array.iter().enumerate().map(open).collect()
    }

    /// A table whose keys are the writer's own, and whose values are texts. `check` says what is wrong with an entry.
    pub fn texts(
        &self,
        key: &'static str,
        check: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<Option<Vec<(String, String)>>, DocumentError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        let path = self.key(key);
        let table = self.inner(value, &path)?;
        let entry = |(name, value): (&Spanned<_>, &Spanned<DeValue<'d>>)| {
            let name: &std::borrow::Cow<'_, str> = name.get_ref();
            let whole = format!("{path}.{}", name.escape_debug());
            let at = value.span().start;
            let Some(text) = value.get_ref().as_str() else {
                let problem = Refused::Type.problem(value.get_ref(), "a text in quotes");
                return Err(self.origin.error(at, &whole, problem));
            };
            match check(name, text) {
                Some(problem) => Err(self.origin.error(at, &whole, problem)),
                None => Ok((name.clone().into_owned(), text.to_owned())),
            }
        };
        table.iter().map(entry).collect::<Result<_, _>>().map(Some)
    }

    fn array(&self, key: &str, expected: &str) -> Result<Option<&'d DeArray<'d>>, DocumentError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_array() {
            Some(array) => Ok(Some(array)),
            None => Err(self.error(key, Refused::Type.problem(value.get_ref(), expected))),
        }
    }

    fn inner(
        &self,
        value: &'d Spanned<DeValue<'d>>,
        path: &str,
    ) -> Result<&'d DeTable<'d>, DocumentError> {
        value.get_ref().as_table().ok_or_else(|| {
            let problem = Refused::Type.problem(value.get_ref(), "a table");
            self.origin.error(value.span().start, path, problem)
        })
    }
}

/// Why a value was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is of another kind.
    Type,
    /// It is of the right kind, and not one of the valid ones.
    Value,
    /// A reason of its own, which names what is valid.
    Because(String),
}

impl Refused {
    fn problem(&self, value: &DeValue<'_>, expected: &str) -> String {
        match self {
            Self::Type | Self::Value => format!("{} is not {expected}", shown(value)),
            Self::Because(reason) => reason.clone(),
        }
    }
}

/// A value as an error repeats it.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let end = text.floor_char_boundary(SHOWN_VALUE);
            let dots = if end < text.len() { "…" } else { "" };
            format!("{:?}{dots}", text.get(..end).unwrap_or_default())
        }
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{percent_of, time_of};

    const KEYS: &[&str] = &[
        "at", "size", "level", "shift", "count", "one", "two", "list", "table",
    ];

    /// What is wrong with the text when `read` reads it.
    fn wrong<T: std::fmt::Debug>(
        text: &str,
        read: impl FnOnce(&Section<'_>) -> Result<T, DocumentError>,
    ) -> String {
        let origin = Origin::new(Path::new("a.toml"), text);
        origin.read(KEYS, read).unwrap_err().to_string()
    }

    #[test]
    fn single_values_are_refused_with_what_is_valid() {
        assert_eq!(
            wrong("at = 5", |root| root.time("at")),
            "a.toml:1:6: at: 5 is not a time such as \"25s\" or \"1h30m\""
        );
        assert_eq!(
            wrong("size = true", |root| root.bytes("size")),
            "a.toml:1:8: size: true is not a size such as \"20 MiB\""
        );
        assert_eq!(
            wrong("level = \"high\"", |root| root.charge("level")),
            "a.toml:1:9: level: \"high\" is not a charge in tenths of a percent from 0 to 100, such as 90, 89.5 or \"20 %\""
        );
        assert_eq!(
            wrong("shift = 1", |root| root.signed_time("shift")),
            "a.toml:1:9: shift: 1 is not a time with its sign, such as \"+1h\" or \"-30m\""
        );
        assert_eq!(
            wrong("count = 99999999999999999999", |root| root.integer("count")),
            "a.toml:1:9: count: 99999999999999999999 is not a whole number"
        );
        assert_eq!(
            wrong("level = 0x10", |root| root
                .value("level", "a share", percent_of)),
            "a.toml:1:9: level: 0x10 is not a share"
        );
    }

    #[test]
    fn one_of_several_keys() {
        let one_of = |text| {
            let origin = Origin::new(Path::new("a.toml"), text);
            origin.read(KEYS, |root| root.one_of(&["one", "two"], "one or two"))
        };
        assert_eq!(one_of("two = 1\nat = 2").unwrap(), "two");
        assert_eq!(
            one_of("at = 2").unwrap_err().to_string(),
            "a.toml:1:1: nothing is named; it has to be one or two"
        );
        assert_eq!(
            one_of("two = 1\none = 2").unwrap_err().to_string(),
            "a.toml:2:7: one: stands beside \"two\"; it has to be one or two"
        );
    }

    #[test]
    fn tables_know_their_places() {
        let text = "# first\n[[list]]\nat = \"1s\"\n  [[list]]\n  at = \"x\"\n[table]\n";
        let origin = Origin::new(Path::new("a.toml"), text);
        let places = origin.read(KEYS, |root| {
            assert!(root.is_table("table") && !root.is_table("list") && !root.is_table("at"));
            let list = root.sections("list", &["at"])?;
            let error = list[1].value("at", "a time", time_of).unwrap_err();
            assert_eq!((error.line, error.key.as_str()), (5, "list[1].at"));
            Ok(list
                .iter()
                .map(|item| item.place().to_string())
                .collect::<Vec<_>>())
        });
        assert_eq!(places.unwrap(), ["2:1", "4:3"]);
    }
}
