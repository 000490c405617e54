//! Reads a TOML document key by key: every error names the file, line, column, key, value and what is valid.
//!
//! Shared by `node.toml` and the app manifests. Deliberately absent: what the keys mean.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use lull_policy::{Bytes, Span};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::quantity;

/// Most bytes of a value that an error repeats; what is longer is cut.
const SHOWN_VALUE: usize = 64;

/// How unlike a name may be to still be offered as the one that was meant (0 = nothing alike, 1 = equal).
const LIKENESS: f64 = 0.75;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}{problem}", if key.is_empty() { String::new() } else { format!("{key}: ") }, file = file.display())]
pub struct DocumentError {
    /// The file.
    pub file: PathBuf,
    /// Counts from 1.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
    /// The whole key, with dots; empty where the document is no TOML.
    pub key: String,
    /// What is wrong, with the value and what is valid.
    pub problem: String,
}

/// Where a text came from, for errors.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'d> {
    file: &'d Path,
    text: &'d str,
}

impl<'d> Origin<'d> {
    /// The text of a file.
    pub fn new(file: &'d Path, text: &'d str) -> Self {
        Self { file, text }
    }

    /// Parses the text and hands its root to `read`. A syntax error names its place; a key that is not in `known` is
    /// refused.
    pub fn read<T>(
        self,
        known: &'static [&'static str],
        read: impl FnOnce(&Section<'_>) -> Result<T, DocumentError>,
    ) -> Result<T, DocumentError> {
        let root = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, "", format!("this is no TOML: {}", error.message()))
        })?;
        let section = Section::open(
            self,
            "",
            Place {
                span: root.span(),
                table: root.get_ref(),
            },
            known,
        )?;
        read(&section)
    }

    fn error(self, at: usize, key: &str, problem: impl Into<String>) -> DocumentError {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        DocumentError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: in_line.chars().count() + 1,
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}

#[derive(Debug)]
struct Place<'d> {
    span: Range<usize>,
    table: &'d DeTable<'d>,
}

/// A table of the document whose keys are all known.
#[derive(Debug)]
pub struct Section<'d> {
    origin: Origin<'d>,
    path: String,
    place: Place<'d>,
}

impl<'d> Section<'d> {
    fn open(
        origin: Origin<'d>,
        path: &str,
        place: Place<'d>,
        known: &'static [&'static str],
    ) -> Result<Self, DocumentError> {
        let unknown = place
            .table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .min_by_key(|key| key.span().start);
        let section = Self {
            origin,
            path: path.to_owned(),
            place,
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
            .place
            .table
            .get(key)
            .map_or(self.place.span.start, |value| value.span().start);
        self.origin.error(at, &self.key(key), problem)
    }

    /// Whether the key stands there.
    pub fn has(&self, key: &str) -> bool {
        self.place.table.contains_key(key)
    }

    /// The keys that stand there, in the order of their names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.place.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// A value, parsed. `expected` completes the sentence "… is not".
    pub fn value<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&DeValue<'d>) -> Result<T, Refused>,
    ) -> Result<Option<T>, DocumentError> {
        let Some(value) = self.place.table.get(key) else {
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

    /// A text.
    pub fn text(&self, key: &'static str) -> Result<Option<String>, DocumentError> {
        self.value(key, "a text in quotes", |value| {
            value.as_str().map(str::to_owned).ok_or(Refused::Type)
        })
    }

    /// A text that something else parses.
    pub fn parsed<T, E: std::fmt::Display>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, DocumentError> {
        self.value(key, expected, |value| {
            let text = value.as_str().ok_or(Refused::Type)?;
            parse(text).map_err(|error| Refused::Because(error.to_string()))
        })
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, DocumentError> {
        let expected = format!("one of {}", list(words.iter().map(|(word, _)| *word)));
        self.value(key, &expected, |value| {
            let text = value.as_str().ok_or(Refused::Type)?;
            word(text, words)
        })
    }

    /// Some of a few words.
    pub fn words<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<Vec<T>>, DocumentError> {
        let known = list(words.iter().map(|(word, _)| *word));
        let whole = format!("a list of {known}");
        self.items(key, &whole, &format!("one of {known}"), |item| {
            word(item.as_str().ok_or(Refused::Type)?, words)
        })
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

    /// A whole number within a range.
    pub fn whole(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, DocumentError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.value(key, &expected, |value| {
            let number = value.as_integer().ok_or(Refused::Type)?;
            u64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| range.contains(number))
                .ok_or(Refused::Value)
        })
    }

    /// As [`Section::whole`], in 32 bits.
    pub fn whole32(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, DocumentError> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        let number = self.whole(key, wide)?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    }

    /// True or false.
    pub fn flag(&self, key: &'static str) -> Result<Option<bool>, DocumentError> {
        self.value(key, "true or false", |value| {
            value.as_bool().ok_or(Refused::Type)
        })
    }

    /// A length of time within a range.
    pub fn span(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<Span>,
    ) -> Result<Option<Span>, DocumentError> {
        let expected = format!(
            "a time from {:?} to {:?}, such as \"25s\" or \"1h30m\"",
            quantity::span_text(*range.start()),
            quantity::span_text(*range.end())
        );
        self.value(key, &expected, |value| {
            let text = value.as_str().ok_or(Refused::Type)?;
            let span = quantity::span(text).map_err(|error| Refused::Because(error.to_string()))?;
            range.contains(&span).then_some(span).ok_or(Refused::Value)
        })
    }

    /// A size within a range.
    pub fn size(
        &self,
        key: &'static str,
        range: std::ops::RangeInclusive<Bytes>,
    ) -> Result<Option<Bytes>, DocumentError> {
        let expected = format!(
            "a size from {:?} to {:?}, such as \"20 MiB\"",
            quantity::size_text(*range.start()),
            quantity::size_text(*range.end())
        );
        self.value(key, &expected, |value| {
            let text = value.as_str().ok_or(Refused::Type)?;
            let size = quantity::size(text).map_err(|error| Refused::Because(error.to_string()))?;
            range.contains(&size).then_some(size).ok_or(Refused::Value)
        })
    }

    /// A table with known keys.
    pub fn section(
        &self,
        key: &'static str,
        known: &'static [&'static str],
    ) -> Result<Option<Section<'d>>, DocumentError> {
        let Some(value) = self.place.table.get(key) else {
            return Ok(None);
        };
        let table = self.table(value, &self.key(key))?;
        Section::open(self.origin, &self.key(key), table, known).map(Some)
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
            Section::open(self.origin, &path, self.table(value, &path)?, known)
        };
        array.iter().enumerate().map(open).collect()
    }

    /// A table whose keys are the writer's own, and whose values are texts. `check` says what is wrong with an entry.
    pub fn texts(
        &self,
        key: &'static str,
        check: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<Option<Vec<(String, String)>>, DocumentError> {
        let Some(value) = self.place.table.get(key) else {
            return Ok(None);
        };
        let path = self.key(key);
        let table = self.table(value, &path)?.table;
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
        let Some(value) = self.place.table.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_array() {
            Some(array) => Ok(Some(array)),
            None => Err(self.error(key, Refused::Type.problem(value.get_ref(), expected))),
        }
    }

    fn table(
        &self,
        value: &'d Spanned<DeValue<'d>>,
        path: &str,
    ) -> Result<Place<'d>, DocumentError> {
        let span = value.span();
        if let Some(table) = value.get_ref().as_table() {
            return Ok(Place { span, table });
        }
        let problem = Refused::Type.problem(value.get_ref(), "a table");
        Err(self.origin.error(span.start, path, problem))
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

/// Finds a word among the known ones.
pub fn word<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, Refused> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    Err(Refused::Because(unknown_name("value", text, &known)))
}

/// Says that a name does not exist, and which one was probably meant.
pub fn unknown_name(kind: &str, name: &str, known: &[&str]) -> String {
    let end = name.floor_char_boundary(SHOWN_VALUE);
    let name = name.get(..end).unwrap_or_default();
    let lower = name.to_lowercase();
    let alike = |known: &&&str| strsim::jaro_winkler(&lower, &known.to_lowercase());
    let nearest = known
        .iter()
        .max_by(|a, b| alike(a).total_cmp(&alike(b)))
        .filter(|nearest| alike(nearest) >= LIKENESS);
    let mut problem = format!("there is no {kind} {name:?}");
    // Writing to a String cannot fail; the result is of the trait.
    let written = match nearest {
        Some(nearest) => write!(problem, "; did you mean {nearest:?}?"),
        None if known.is_empty() => write!(problem, "; there is none"),
        None => write!(problem, "; there are {}", list(known.iter().copied())),
    };
    debug_assert!(written.is_ok(), "a String takes every text");
    problem
}

fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    words.join(", ")
}
