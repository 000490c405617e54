//! What `lull up` says once both daemons are ready.

use std::path::Path;

use lull_proto::local::v1::GetStatusResponse;
use serde::Serialize;

use super::pair::Pair;
use crate::locate::{Ready, default_state};
use crate::output::Output;

/// The one line of `lull up --json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "ready")]
struct ReadyLine<'a> {
    state: &'a Path,
    fleet: &'a str,
    door: &'a str,
    identity: std::path::PathBuf,
    node_socket: std::path::PathBuf,
    apps: std::path::PathBuf,
    logs: std::path::PathBuf,
    device: &'a str,
    cannot_enforce: &'a [String],
}

/// Says that all is ready, what this machine cannot enforce, and what to try next.
pub(super) fn ready(pair: &Pair, ready: &Ready, status: &GetStatusResponse, output: &Output) {
    let folder = pair.folder();
    if output.json() {
        output.record(&ReadyLine {
            state: &folder.0,
            fleet: &ready.fleet,
            door: &ready.door,
            identity: folder.operator(),
            node_socket: folder.socket(),
            apps: folder.apps(),
            logs: folder.logs(),
            device: &status.device,
            cannot_enforce: &status.cannot_enforce,
        });
        return;
    }
    output.line(format!(
        "ready: coordinator at {}, device {}",
        ready.fleet, status.device
    ));
    output.line(format!(
        "state: {} (its authority's keys too)",
        folder.0.display()
    ));
    for missing in &status.cannot_enforce {
        output.line(format!("not enforced here: {missing}"));
    }
    output.line("\nTry, in another terminal:");
    for command in next(&program(), &folder.0, &status.device) {
        output.line(format!("  {command}"));
    }
    output.line("\nCtrl-C ends both.");
}

/// The next three commands, to copy and paste.
fn next(program: &str, state: &Path, device: &str) -> [String; 3] {
    let lull = if state == default_state() {
        program.to_owned()
    } else {
        format!("{program} --state {}", quoted(&state.to_string_lossy()))
    };
    [
        format!("{lull} push photos --device {device} --payload now --watch"),
        format!("{lull} runs --output"),
        format!("{lull} why reports"),
    ]
}

/// `lull` where the shell finds this executable by that name, else its path.
fn program() -> String {
    let Ok(this) = std::env::current_exe() else {
        return "lull".to_owned();
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("lull"))
        .find(|candidate| candidate.is_file())
        .and_then(|candidate| candidate.canonicalize().ok());
    if found.as_deref() == this.canonicalize().ok().as_deref() {
        "lull".to_owned()
    } else {
        quoted(&this.to_string_lossy())
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_commands_can_be_pasted() {
        let commands = next("/opt/lull/bin/lull", Path::new("/tmp/my state"), "d-1").join("\n");
        insta::assert_snapshot!(commands);
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
