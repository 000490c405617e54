//! A system bus of a test's own, with the services' mocks on it, one process each.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use zbus::DynamicType;

use super::*;
use crate::watch::bus::Bus;

/// Lets everybody say everything: only processes of one test are on it.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_match_rules_per_connection">512</limit>
</busconfig>
"#;

/// A method that makes a mock send signals of an object until it ends: 100 every 10 ms.
const FLOOD: &str = r#"
import dbus.lowlevel
from gi.repository import GLib
self.sent = 0
def burst(self=self, path=args[0], interface=args[1], lowlevel=dbus.lowlevel):
    for _ in range(100):
        message = lowlevel.SignalMessage(path, interface, "PropertiesChanged")
        self.connection.send_message(message)
    self.sent += 100
    return True
GLib.timeout_add(10, burst)
"#;

/// The mocks' own interface.
pub(crate) const MOCK: &str = "org.freedesktop.DBus.Mock";

/// The bus; it and everything on it end with this.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    bus: Child,
    mock: Option<Child>,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        let config = folder.path().join("bus.conf");
        std::fs::write(
            &config,
            CONFIG.replace("SOCKET", &socket.display().to_string()),
        )
        .unwrap();
        let bus = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--config-file"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .expect("dbus-daemon: tests/run installs it");
        let stage = Self {
            folder,
            bus,
            mock: None,
        };
        // Its socket is there a moment before it listens.
        let address = stage.address();
        eventually("the bus listens", async || {
            Bus::at(Some(&address)).await.is_ok()
        })
        .await;
        stage
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("bus").display())
    }

    /// A connection for the test itself.
    pub(crate) async fn connect(&self) -> Bus {
        let mut post = post(Recorder::engine(0).0);
        post.bus = Some(self.address());
        Bus::connect(&post).await.unwrap()
    }

    /// Starts the mock of a service and waits until it answers to its name.
    pub(crate) async fn mock(&mut self, template: &str, service: &str) {
        assert!(self.mock.is_none(), "one at a time");
        let mock = Command::new(python())
            .args(["-m", "dbusmock", "--system", "-t", template])
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("python-dbusmock: tests/run installs it");
        self.mock = Some(mock);
        let bus = self.connect().await;
        eventually("the mock is there", async || {
            bus.standing(service).await.unwrap().there
        })
        .await;
    }

    /// Ends the mock, as a crash would.
    pub(crate) fn kill(&mut self) {
        let mut mock = self.mock.take().expect("a mock runs");
        mock.kill().unwrap();
        assert_eq!(mock.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    /// Stops the mock where it stands; it answers nobody.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let mock = self.mock.as_ref().expect("a mock runs");
        kill_process(Pid::from_child(mock), signal).unwrap();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in self.mock.iter_mut().chain([&mut self.bus]) {
            // Gone already: nothing to end.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The interpreter with python-dbusmock.
fn python() -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/mock-venv");
    let venv = std::env::var_os("LULL_MOCK_VENV").map_or_else(|| root.into(), PathBuf::from);
    venv.join("bin/python")
}

/// Calls a method of a mock that answers nothing that matters.
pub(crate) async fn tell(
    bus: &Bus,
    service: &str,
    path: &str,
    (interface, method): (&str, &str),
    body: &(impl Serialize + DynamicType + Sync),
) {
    let answer = bus.say(service, path, interface, method, body).await;
    answer.unwrap_or_else(|error| panic!("{interface}.{method} of {path}: {error}"));
}

/// Changes properties of one interface together, as one signal.
pub(crate) async fn put(
    bus: &Bus,
    service: &str,
    path: &str,
    interface: &str,
    properties: &[(&str, zbus::Variant<'_>)],
) {
    let properties: HashMap<&str, &zbus::Variant<'_>> = properties
        .iter()
        .map(|(name, value)| (*name, value))
        .collect();
    let body = (interface, properties);
    tell(bus, service, path, (MOCK, "UpdateProperties"), &body).await;
}

/// From now on the mock floods the bus with signals of an object.
pub(crate) async fn flood(bus: &Bus, service: &str, main: &str, path: &str) {
    let method = ("lull.Test", "Flood", "ss", "", FLOOD);
    tell(bus, service, main, (MOCK, "AddMethod"), &method).await;
    let count = ("lull.Test", "Sent", "", "x", "ret = self.sent");
    tell(bus, service, main, (MOCK, "AddMethod"), &count).await;
    let what = (path, "org.freedesktop.DBus.Properties");
    tell(bus, service, main, ("lull.Test", "Flood"), &what).await;
}

/// How many signals the flood has had so far.
pub(crate) async fn flooded(bus: &Bus, service: &str, main: &str) -> i64 {
    bus.call(service, main, "lull.Test", "Sent", &())
        .await
        .unwrap()
}

/// Waits for a condition, with patience.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_late| panic!("not within {PATIENCE:?}: {what}"));
}
