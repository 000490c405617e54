//! What is taken and what is refused, and with which words.

mod taken;
mod wrong;

use std::path::Path;

use lull_document::DocumentError;

use crate::scenario::Scenario;

fn read(text: &str) -> Result<Scenario, DocumentError> {
    Scenario::read(Path::new("s.toml"), text)
}

/// ACC-49.
#[test]
fn scheduled_task_has_no_begin_time() {
    let text = "start = \"2026-03-02T08:00:00Z\"\nlength = \"1h\"\n\n[[app]]\nid = \"mail\"\n\n[[step]]\nat = \"0s\"\n\
                app = \"mail\"\ncall = \"add-scheduled\"\n\
                args = { kind = \"periodic\", description = \"d\", begin_time = \"1h\" }\n";
    let error = read(text).expect_err("no such argument").to_string();
    assert!(error.contains("begin_time"), "{error}");
    read(&text.replace(", begin_time = \"1h\"", "")).expect("the rest is right");
}
