//! What a node would have recorded of this world.

use lull_policy::Event;
use lull_recording::{Entry, Header, Snapshot, VERSION};

use super::World;

impl World {
    /// A process of the daemon starts.
    pub(super) fn record_start(&mut self) {
        if self.recorded.is_some() {
            let records: Vec<_> = self.store.values().cloned().collect();
            let start = Snapshot::at_start(self.clock.now, self.boot_id(), &records);
            self.add(Entry::write_snapshot(&start));
        }
    }

    /// The machine is told something.
    pub(super) fn record(&mut self, event: &Event) {
        if self.recorded.is_some() {
            self.add(Entry::write_event(self.clock.now, event));
        }
    }

    #[expect(clippy::expect_used, reason = "events and records are plain data")]
    fn add(&mut self, line: Result<String, serde_json::Error>) {
        if let Some(lines) = &mut self.recorded {
            lines.push(line.expect("plain data can be written"));
        }
    }

    /// The recording so far, as a file; empty where nothing is recorded.
    #[expect(clippy::expect_used, reason = "a header is plain data")]
    pub(crate) fn recording(&self, device: &str) -> String {
        let Some(lines) = &self.recorded else {
            return String::new();
        };
        let first = lines.first().and_then(|line| Entry::read(line).ok());
        let until = self.clock.now.wall;
        let header = Header {
            version: VERSION,
            node: env!("CARGO_PKG_VERSION").to_owned(),
            device: device.to_owned(),
            from: first.map_or(until, |entry| entry.now().wall),
            until,
        };
        let header = serde_json::to_string(&header).expect("plain data can be written");
        let mut text = header + "\n";
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}
