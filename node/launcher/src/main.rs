//! The launcher as a program of its own: `lull-launcher --socket PATH`. The daemon's own binary carries the same code.

use std::path::PathBuf;
use std::process::ExitCode;

/// The exit status for a wrong command line (`EX_USAGE`).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let (flag, path, rest) = (words.next(), words.next(), words.next());
    let (Some("--socket"), Some(path), None) =
        (flag.as_deref().and_then(|f| f.to_str()), path, rest)
    else {
        say("usage: lull-launcher --socket PATH");
        return ExitCode::from(USAGE);
    };
    match lull_launcher::run(&PathBuf::from(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and all its sources, once each.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[expect(clippy::print_stderr, reason = "this is a program's own output")]
fn say(text: &str) {
    eprintln!("lull-launcher: {text}");
}
