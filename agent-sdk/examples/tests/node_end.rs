//! The near end: starts an agent as a node does, speaks with it, and waits for its end.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than any of these tests takes on a loaded machine.
const LONG: Duration = Duration::from_mins(1);

/// A node with one run under way. What is left of it ends with this.
pub(crate) struct NodeEnd {
    child: Child,
    lines: BufReader<UnixStream>,
    pub(crate) state: TempDir,
}

/// How an agent is started.
pub(crate) struct Start<'a> {
    pub(crate) program: &'a str,
    pub(crate) payload: &'a str,
    pub(crate) push: &'a str,
    pub(crate) environment: &'a [(&'a str, &'a Path)],
}

impl Start<'_> {
    /// Starts it with its socket as standard input.
    pub(crate) fn go(&self) -> NodeEnd {
        self.through(&[])
    }

    /// Starts it by way of a shell that moves its socket to descriptor 3, where a node puts it.
    pub(crate) fn go_with_descriptor(&self) -> NodeEnd {
        self.through(&[
            "/bin/sh",
            "-c",
            "LULL_SOCKET_FD=3 exec \"$0\" 3<&0 0</dev/null",
        ])
    }

    fn through(&self, shell: &[&str]) -> NodeEnd {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_read_timeout(Some(LONG)).unwrap();
        let state = tempfile::tempdir().unwrap();
        let mut words = shell.iter().chain([&self.program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command
            .env("LULL_SOCKET_FD", "0")
            .env("LULL_STATE", state.path());
        for (name, value) in self.environment {
            command.env(name, value);
        }
        let child = command
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The child alone holds the far end from here on.
        drop(command);
        let mut node = NodeEnd {
            child,
            lines: BufReader::new(near),
            state,
        };
        assert_eq!(node.hear(), r#"{"type":"hello","protocol":1}"#);
        let push = serde_json::json!({ "id": self.push, "text": self.payload });
        let invoke = serde_json::json!({
            "type": "invoke", "protocol": 1, "run": 7, "app": "an-app", "task": "a-task",
            "entry_point": "an-agent", "trigger": "push", "push": push, "attempt": 1,
            "cancel_after_ms": 25_000, "kill_after_ms": 30_000,
        });
        node.say(&invoke);
        node
    }
}

impl NodeEnd {
    pub(crate) fn say(&mut self, message: &Value) {
        writeln!(self.lines.get_mut(), "{message}").unwrap();
    }

    pub(crate) fn cancel(&mut self) {
        self.say(&serde_json::json!({
            "type": "cancel", "reason": "execution-time-exceeded", "number": 9, "grace_ms": 5_000,
        }));
    }

    /// The agent's next line; empty = it hung up.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The agent's lines until one that is wanted.
    pub(crate) fn hear_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.hear();
            assert_ne!(line, "", "the agent hung up");
            let message: Value = serde_json::from_str(&line).unwrap();
            if wanted(&message) {
                return message;
            }
        }
    }

    /// All that the agent still says, until it hangs up.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| {
            let line = Some(self.hear()).filter(|line| !line.is_empty())?;
            Some(serde_json::from_str(&line).unwrap())
        })
        .collect()
    }

    /// Its exit status and what it printed. A signal reads as -1.
    pub(crate) fn end(&mut self) -> (i32, String) {
        let mut printed = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut printed).unwrap();
        }
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), printed)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.state.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.state(name)).unwrap()
    }
}

impl Drop for NodeEnd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A process, which no later one of the same id is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
}

impl Process {
    /// Fields of `/proc/PID/stat` from the third on, if it is still this process.
    fn fields(self) -> Option<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<String> = fields.split_ascii_whitespace().map(str::to_owned).collect();
        let start_time = fields.get(19)?.parse::<u64>().ok()?;
        (start_time == self.start_time).then_some(fields)
    }

    pub(crate) fn lives(self) -> bool {
        self.fields().is_some_and(|fields| fields[0] != "Z")
    }

    pub(crate) fn session(self) -> u32 {
        self.fields().unwrap()[3].parse().unwrap()
    }

    /// A signal for the whole process waits to be taken.
    pub(crate) fn has_pending(self, signal: Signal) -> bool {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let set = text.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        let set = u64::from_str_radix(set.unwrap().trim(), 16).unwrap();
        set & (1 << (signal.as_raw() - 1)) != 0
    }

    pub(crate) fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.lives()) {
            let sent = rustix::process::kill_process(pid, signal);
            assert!(matches!(sent, Ok(()) | Err(Errno::SRCH)), "{sent:?}");
        }
    }
}

/// Waits until something holds; it is looked at often, for a minute.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let (_canceller, never) = lull_agent::agent::Cancellation::pair();
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        never.wait(Duration::from_millis(10));
    }
    panic!("{what} did not come to hold within a minute");
}
