//! The kinds of single values: texts, words, numbers, flags, times, sizes, charges.

use lull_policy::{Bytes, PerMille, Span};
use toml::de::DeValue;

use crate::name::{list, word};
use crate::quantity::{self, SignedSpan};
use crate::{DocumentError, Refused, Section};

impl Section<'_> {
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

    /// Any whole number that fits 64 bits, negative ones too.
    pub fn integer(&self, key: &'static str) -> Result<Option<i64>, DocumentError> {
        self.value(key, "a whole number", |value| {
            let number = value.as_integer().ok_or(Refused::Type)?;
            i64::from_str_radix(number.as_str(), number.radix()).map_err(|_number| Refused::Value)
        })
    }

    /// Any length of time.
    pub fn time(&self, key: &'static str) -> Result<Option<Span>, DocumentError> {
        self.value(key, TIME, time_of)
    }

    /// Any length of time with its sign.
    pub fn signed_time(&self, key: &'static str) -> Result<Option<SignedSpan>, DocumentError> {
        let expected = "a time with its sign, such as \"+1h\" or \"-30m\"";
        self.value(key, expected, |value| {
            let text = value.as_str().ok_or(Refused::Type)?;
            quantity::signed_span(text).map_err(|error| Refused::Because(error.to_string()))
        })
    }

    /// Any size.
    pub fn bytes(&self, key: &'static str) -> Result<Option<Bytes>, DocumentError> {
        self.value(key, "a size such as \"20 MiB\"", |value| {
            let text = value.as_str().ok_or(Refused::Type)?;
            quantity::size(text).map_err(|error| Refused::Because(error.to_string()))
        })
    }

    /// A charge as a level to compare with: a number of percent, or a text such as "20 %"; no finer than a tenth.
    pub fn charge(&self, key: &'static str) -> Result<Option<PerMille>, DocumentError> {
        let expected =
            "a charge in tenths of a percent from 0 to 100, such as 90, 89.5 or \"20 %\"";
        self.value(key, expected, |value| {
            let text = value.as_str().map(|text| text.trim().strip_suffix('%'));
            let number = match text {
                Some(number) => number.ok_or(Refused::Value)?.trim_end(),
                None => decimal(value).ok_or(Refused::Type)?,
            };
            quantity::exact_percent(number).ok_or(Refused::Value)
        })
    }
}

/// What a length of time has to be.
pub(crate) const TIME: &str = "a time such as \"25s\" or \"1h30m\"";

/// A length of time, as a value of a list too.
pub fn time_of(value: &DeValue<'_>) -> Result<Span, Refused> {
    let text = value.as_str().ok_or(Refused::Type)?;
    quantity::span(text).map_err(|error| Refused::Because(error.to_string()))
}

/// A measured share in percent, with any fraction: see [`quantity::percent`].
pub fn percent_of(value: &DeValue<'_>) -> Result<PerMille, Refused> {
    let number = decimal(value).ok_or(Refused::Type)?;
    quantity::percent(number).ok_or(Refused::Value)
}

/// The digits of a number in base ten.
fn decimal<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str()),
        DeValue::Float(number) => Some(number.as_str()),
        DeValue::Integer(_)
        | DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    }
}
