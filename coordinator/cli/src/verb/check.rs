//! `lull apps check`: what the agents of a manifest may do and what not, before it is installed (MAN-10).
//!
//! Every file is read before anything is printed. Deliberately absent: a node. What is said holds on every device; users and programs are
//! looked for where the manifest is installed.

use std::path::{Path, PathBuf};

use lull_node::manifest::{Certificate, Finding, Manifest, NEVER, certify_file};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{Output, Rows};
use crate::words::count;

/// Runs the verb.
pub(crate) fn run(files: &[PathBuf], output: &Output) -> Result<(), Failure> {
    let (mut checked, mut unreadable) = (Vec::new(), Vec::new());
    for file in files {
        match certify_file(file) {
            Ok((manifest, found)) => checked.push((file.as_path(), manifest, found)),
            Err(error) => unreadable.push(error),
        }
    }
    if !unreadable.is_empty() {
        return Err(Failure::Input(unreadable.join("\n")));
    }
    if output.json() {
        let manifests = checked
            .iter()
            .map(|(file, manifest, found)| document(file, manifest, found));
        output.document(&json!({
            "manifests": manifests.collect::<Vec<_>>(),
            "no_agent_may": NEVER,
        }));
    } else {
        say(&checked, output);
    }
    let wrong: Vec<String> = checked
        .iter()
        .filter(|(.., found)| !found.errors.is_empty())
        .map(|(file, _, found)| {
            format!(
                "{} ({})",
                file.display(),
                count(found.errors.len() as u64, "error")
            )
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "not certified: {}; what is declared there no agent may have",
        wrong.join(", ")
    )))
}

fn say(checked: &[(&Path, Manifest, Certificate)], output: &Output) {
    for (file, manifest, found) in checked {
        output.line(format!(
            "{} {} ({})",
            manifest.id,
            manifest.version,
            file.display()
        ));
        output.table(&table(found), "it declares no agent");
        for error in &found.errors {
            output.note(sentence("error", error));
        }
        for note in &found.notes {
            output.note(sentence("note", note));
        }
        output.line("");
    }
    output.table(&never(), "");
}

fn sentence(kind: &str, finding: &Finding) -> String {
    format!(
        "{kind}: {}: {} ({})",
        finding.place, finding.problem, finding.rule
    )
}

fn table(found: &Certificate) -> Rows {
    let mut rows = Rows::new(["AGENT", "", "WHAT"]);
    for agent in &found.agents {
        let mut row = |first: &str, kind: &str, what: &str| {
            rows.push([first.to_owned(), kind.to_owned(), what.to_owned()]);
        };
        row(&agent.entry_point, "is", &agent.types.join(", "));
        row("", "runs", &agent.command.join(" "));
        agent.may.iter().for_each(|what| row("", "may", what));
        agent
            .may_not
            .iter()
            .for_each(|what| row("", "may not", what));
    }
    rows
}

fn never() -> Rows {
    let mut rows = Rows::new(["NO AGENT MAY"]);
    for what in NEVER {
        rows.push([what.to_owned()]);
    }
    rows
}

fn document(file: &Path, manifest: &Manifest, found: &Certificate) -> Value {
    let findings = |findings: &[Finding]| -> Vec<Value> {
        let value = |finding: &Finding| json!({ "place": finding.place, "problem": finding.problem, "rule": finding.rule });
        findings.iter().map(value).collect()
    };
    let agents = found.agents.iter().map(|agent| {
        json!({
            "entry_point": agent.entry_point,
            "types": agent.types,
            "command": agent.command,
            "may": agent.may,
            "may_not": agent.may_not,
        })
    });
    json!({
        "file": file,
        "app": manifest.id,
        "version": manifest.version,
        "certified": found.errors.is_empty(),
        "agents": agents.collect::<Vec<_>>(),
        "errors": findings(&found.errors),
        "notes": findings(&found.notes),
    })
}

#[cfg(test)]
mod tests {
    use crate::failure::Exit;

    use super::*;

    const PHOTOS: &str = r#"
id = "photos"
version = "1.0"
capabilities = ["internet", "media", "extended-background-task-time"]

[[agent]]
entry_point = "photo-sync"
types = ["push-notification", "timer"]
command = ["/opt/photos/bin/sync", "--fast"]
reads = ["/srv/camera"]

[[agent]]
entry_point = "player"
types = ["audio"]
command = ["/usr/bin/python3", "/opt/photos/play.py"]
"#;

    const WRONG: &str = r#"
id = "wrong"
version = "1"
user = "root"
capabilities = []

[[agent]]
entry_point = "ask"
types = ["push-notification", "device-servicing"]
command = ["/usr/bin/env", "sudo", "reboot"]
environment = { DISPLAY = ":0" }

[[agent]]
entry_point = "loose"
types = ["system-event"]
command = ["/run/agent"]
"#;

    fn checked(text: &str) -> (Manifest, Certificate) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.toml");
        std::fs::write(&file, text).unwrap();
        certify_file(&file).unwrap()
    }

    /// As it is printed on a terminal of 80 columns, what is told beside the result below it.
    fn shown(text: &str) -> String {
        let (_, found) = checked(text);
        let mut shown = table(&found).render(80);
        for (kind, findings) in [("error", &found.errors), ("note", &found.notes)] {
            for finding in findings {
                shown.push('\n');
                shown.push_str(&sentence(kind, finding));
            }
        }
        shown
    }

    #[test]
    fn what_agents_may_do_fits_eighty_columns() {
        for table in [table(&checked(PHOTOS).1), never()] {
            let text = table.render(80);
            assert!(
                text.lines().all(|line| line.chars().count() <= 80),
                "{text}"
            );
        }
        insta::assert_snapshot!(shown(PHOTOS));
        insta::assert_snapshot!("what_no_agent_may_do", never().render(80));
    }

    #[test]
    fn what_no_agent_may_have_is_an_error() {
        insta::assert_snapshot!(shown(WRONG));
    }

    #[test]
    fn a_manifest_is_certified_refused_or_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        let photos = write("photos.toml", PHOTOS);
        let wrong = write("wrong.toml", WRONG);
        let camera = write("camera.toml", &PHOTOS.replace("\"media\"", "\"camera\""));
        let exit = |files: &[&PathBuf]| {
            let files: Vec<PathBuf> = files.iter().copied().cloned().collect();
            run(&files, &Output::new(true)).map_or_else(|failure| failure.exit(), |()| Exit::Done)
        };
        assert_eq!(exit(&[&photos]), Exit::Done);
        assert_eq!(exit(&[&photos, &wrong]), Exit::Failed);
        assert_eq!(exit(&[&camera]), Exit::Usage);
        assert_eq!(exit(&[&folder.path().join("none.toml")]), Exit::Usage);
        let error = run(std::slice::from_ref(&camera), &Output::new(true))
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"camera\" is not for agents"), "{error}");
    }

    #[test]
    fn a_program_reads_the_same() {
        let (manifest, found) = checked(WRONG);
        let document = document(Path::new("app.toml"), &manifest, &found);
        assert_eq!(document["certified"], false);
        assert_eq!(document["agents"][0]["entry_point"], "ask");
        assert_eq!(document["errors"][0]["rule"], "RUN-46");
    }
}
