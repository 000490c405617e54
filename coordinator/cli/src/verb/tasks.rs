//! `lull tasks`: what is registered on this machine's node, in which state, and what holds it back.

use lull_proto::local::v1::ListTasksRequest;

use crate::command::{Global, OfApp};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::{Output, Rows};
use crate::view::TaskView;
use crate::words::Reader;

/// Runs the verb.
pub(crate) async fn run(global: &Global, of: OfApp, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let request = ListTasksRequest {
        app: of.app.unwrap_or_default(),
    };
    let answer = node.operator().list_tasks(request).await;
    let answer = answer.map_err(|status| node.failure(&status))?.into_inner();
    let tasks: Vec<TaskView> = answer.tasks.into_iter().map(TaskView::from).collect();
    if output.json() {
        output.document(&serde_json::json!({ "tasks": tasks }));
    } else {
        output.table(&table(&tasks, &Reader::here()), "nothing is registered");
    }
    Ok(())
}

fn table(tasks: &[TaskView], reader: &Reader) -> Rows {
    let mut rows = Rows::new(["TASK", "TRIGGER", "NEEDS", "STATE", "NEXT", "RUNS"]);
    for task in tasks {
        let state = if task.reasons.is_empty() {
            task.state.clone()
        } else {
            format!("{}: {}", task.state, task.reasons.join(", "))
        };
        rows.push([
            format!("{}/{}", task.app, task.name),
            task.trigger.clone(),
            task.conditions.join(" "),
            state,
            task.next.map(|at| reader.moment(at)).unwrap_or_default(),
            task.runs.to_string(),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn tasks_fit_eighty_columns() {
        let reader = Reader {
            zone: TimeZone::UTC,
            now: "2026-03-02T08:00:00Z".parse().unwrap(),
        };
        let task = |name: &str, state: &str, reasons: &[&str]| TaskView {
            id: 1,
            app: "reports".to_owned(),
            name: name.to_owned(),
            entry_point: "disk-report".to_owned(),
            trigger: "timer:30min".to_owned(),
            conditions: vec!["internet-available", "user-not-present"],
            state: state.to_owned(),
            reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            registered_at: None,
            next: Some("2026-03-02T08:15:00Z".parse().unwrap()),
            runs: 41,
        };
        let tasks = [
            task("report", "waiting", &["internet", "user-not-present"]),
            task("b", "idle", &[]),
        ];
        let text = table(&tasks, &reader).render(80);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
