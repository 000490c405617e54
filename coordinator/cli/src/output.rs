//! What people and programs read: the only place that prints.
//!
//! Results go to the standard output, everything else (notes, progress, failures) to the standard error. With `--json`
//! the standard output holds JSON and nothing else. What cannot be written, because the reader has gone, is lost
//! without a word: a daemon's keeper must not end for it.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anstream::ColorChoice;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::failure::Failure;

/// Columns of a table where no terminal tells otherwise.
const WIDTH: u16 = 80;
/// Spaces between two columns.
const GAP: u16 = 2;
/// Least columns of text for a column of a table, its gap included.
const LEAST: u16 = 7;

/// Where results go, and in which form.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    /// Whether the standard output takes colour, and the standard error.
    out: ColorChoice,
    err: ColorChoice,
}

impl Output {
    /// For programs (JSON) or for people.
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            out: anstream::AutoStream::choice(&std::io::stdout()),
            err: anstream::AutoStream::choice(&std::io::stderr()),
        }
    }

    /// A program reads it.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Prints a result as JSON, one document, indented.
    pub(crate) fn document(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string_pretty(value) {
            self.line(text);
        }
    }

    /// Prints one of several results as JSON on one line.
    pub(crate) fn record(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.line(text);
        }
    }

    /// Prints a line of a result.
    pub(crate) fn line(&self, text: impl Display) {
        let mut out = anstream::AutoStream::new(std::io::stdout().lock(), self.out);
        drop(writeln!(out, "{text}"));
        drop(out.flush());
    }

    /// Writes a piece of a file as it is; one that is not written whole would be useless, so a reader that has gone is an error.
    pub(crate) fn bytes(piece: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(piece)?;
        out.flush()
    }

    /// Prints a table of a result; `empty` where there are no rows.
    pub(crate) fn table(&self, rows: &Rows, empty: &str) {
        if rows.rows.is_empty() {
            self.note(empty);
        } else {
            self.line(rows.render(width()));
        }
    }

    /// Says something that is no result.
    pub(crate) fn note(&self, text: impl Display) {
        let mut err = anstream::AutoStream::new(std::io::stderr().lock(), self.err);
        drop(writeln!(err, "{text}"));
    }

    /// Says what failed, each cause once.
    pub(crate) fn failure(&self, failure: &Failure) {
        let mut err = anstream::AutoStream::new(std::io::stderr().lock(), self.err);
        drop(writeln!(err, "{}: {failure}", "lull".red().bold()));
        for cause in failure.causes() {
            drop(writeln!(err, "  because: {cause}"));
        }
    }

    /// Shows that something is waited for, on a terminal.
    pub(crate) fn waiting(&self, text: impl Into<String>) -> Waiting {
        // It hides itself where the standard error is no terminal; programs do not want it on one either.
        let bar = if self.json {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        bar.set_message(text.into());
        let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_fixed| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Waiting { bar }
    }
}

/// Something that is waited for; gone from the screen when dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    bar: ProgressBar,
}

impl Waiting {
    /// What is waited for now.
    pub(crate) fn say(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
    }

    /// Prints while it waits, without a tangle on the screen.
    pub(crate) fn pause<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The rows of a table.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// A table with these columns.
    pub(crate) fn new(header: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            header: header.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; one cell a column.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table in so many columns of text; long cells wrap.
    pub(crate) fn render(&self, width: u16) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
        table.set_header(self.header.clone());
        for row in &self.rows {
            table.add_row(row.clone());
        }
        let bounds = boundaries(&self.longest_words(), width);
        for (index, (column, bound)) in table.column_iter_mut().zip(bounds).enumerate() {
            column.set_padding((0, gap(index, self.header.len())));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(bound)));
        }
        let lines: Vec<String> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        lines.join("\n")
    }
}

impl Rows {
    /// The longest word of each column, so that ids and names stay whole and can be copied.
    fn longest_words(&self) -> Vec<u16> {
        let longest = |text: &str| {
            text.split_whitespace()
                .map(|word| word.chars().count())
                .max()
        };
        let column = |index: usize| {
            let header = self.header.get(index).copied();
            let cells = self
                .rows
                .iter()
                .filter_map(move |row| row.get(index).map(String::as_str));
            let most = header.into_iter().chain(cells).filter_map(longest).max();
            u16::try_from(most.unwrap_or(0)).unwrap_or(u16::MAX)
        };
        (0..self.header.len()).map(column).collect()
    }
}

/// Spaces behind a column: none behind the last.
fn gap(index: usize, columns: usize) -> u16 {
    if index + 1 == columns { 0 } else { GAP }
}

/// How wide each column must be to keep its words whole; where the width does not hold all, the widest columns but the
/// first give way.
fn boundaries(words: &[u16], width: u16) -> Vec<u16> {
    let whole = |(index, word): (usize, &u16)| word.saturating_add(gap(index, words.len()));
    let mut bounds: Vec<u16> = words.iter().enumerate().map(whole).collect();
    while bounds.iter().map(|bound| u32::from(*bound)).sum::<u32>() > u32::from(width) {
        match bounds.iter_mut().skip(1).max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => break,
        }
    }
    bounds
}

fn width() -> u16 {
    if std::io::stdout().is_terminal() {
        Table::new().width().map_or(WIDTH, |width| width.max(40))
    } else {
        WIDTH
    }
}

/// A mark for a claim that was seen, was not, or could not be shown.
pub(crate) fn mark(seen: Option<bool>) -> String {
    match seen {
        Some(true) => "✓".green().to_string(),
        Some(false) => "✗".red().bold().to_string(),
        None => "–".yellow().to_string(),
    }
}

/// Prints a command line that cannot be read, or the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Clap prints help to the standard output and complaints to the standard error.
    drop(error.print());
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_eighty_columns() {
        let mut rows = Rows::new(["DEVICE", "NAME", "WAITING", "APPS"]);
        rows.push([
            "0190a4c2-7f5e-7c3a-9d1b-3f2e8a6b4c5d".to_owned(),
            "a device with a rather long name for a terminal".to_owned(),
            "12".to_owned(),
            "photos, reports, inbox, stubborn, glutton".to_owned(),
        ]);
        let text = rows.render(80);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
