//! Names and words that have to be among the known ones, and the nearest one where they are not.

use std::fmt::Write as _;

use crate::Refused;

/// How unlike a name may be to still be offered as the one that was meant (0 = nothing alike, 1 = equal).
const LIKENESS: f64 = 0.75;

/// Most bytes of a value that an error repeats; what is longer is cut.
pub(crate) const SHOWN_VALUE: usize = 64;

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

/// Words as an error lists them.
pub(crate) fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    words.join(", ")
}
