//! `lull runs`: the runs of this machine's node, those under way first, then the newest.

use std::time::Duration;

use lull_proto::local::v1::ListRunsRequest;

use crate::command::{Global, Runs};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::{Output, Rows};
use crate::view::RunView;
use crate::words::{Reader, bytes, exact};

/// Runs the verb.
pub(crate) async fn run(global: &Global, options: Runs, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let request = ListRunsRequest {
        app: options.app.unwrap_or_default(),
        limit: options.limit,
    };
    let answer = node.operator().list_runs(request).await;
    let answer = answer.map_err(|status| node.failure(&status))?.into_inner();
    let runs: Vec<RunView> = answer.runs.into_iter().map(RunView::from).collect();
    if output.json() {
        output.document(&serde_json::json!({ "runs": runs }));
        return Ok(());
    }
    output.table(&table(&runs, &Reader::here()), "nothing has run yet");
    if options.output {
        for run in runs.iter().filter(|run| !run.output.is_empty()) {
            output.line(format!(
                "\nrun {} of {}/{} printed:",
                run.run, run.app, run.task
            ));
            output.line(run.output.trim_end());
        }
    }
    Ok(())
}

/// The runs of an app, or of all (`app` empty), those under way first, then the newest.
pub(crate) async fn list_runs(node: &Node, app: &str, limit: u32) -> Result<Vec<RunView>, Failure> {
    let request = ListRunsRequest {
        app: app.to_owned(),
        limit,
    };
    let answer = node.operator().list_runs(request).await;
    let answer = answer.map_err(|status| node.failure(&status))?.into_inner();
    Ok(answer.runs.into_iter().map(RunView::from).collect())
}

fn table(runs: &[RunView], reader: &Reader) -> Rows {
    let mut rows = Rows::new(["RUN", "TASK", "STARTED", "RAN", "PEAK", "RESULT"]);
    for run in runs {
        rows.push([
            run.run.to_string(),
            format!("{}/{}", run.app, run.task),
            run.started_at
                .map(|at| reader.moment(at))
                .unwrap_or_default(),
            run.ran_ms
                .map(|millis| exact(Duration::from_millis(millis)))
                .unwrap_or_default(),
            run.memory_peak.map(bytes).unwrap_or_default(),
            result(run),
        ]);
    }
    rows
}

/// How a run ended, or how it goes.
fn result(run: &RunView) -> String {
    let standing = run
        .outcome
        .as_ref()
        .or(run.state.as_ref())
        .cloned()
        .unwrap_or_default();
    let progress = run.progress.filter(|_| run.outcome.is_none());
    let parts = [
        Some(standing),
        progress.map(|progress| format!("progress {progress}")),
        run.cancel_reason
            .as_ref()
            .map(|reason| format!("asked: {reason}")),
        Some(run.attempt)
            .filter(|attempt| *attempt > 1)
            .map(|attempt| format!("attempt {attempt}")),
        run.message.as_ref().map(|message| format!("({message})")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn runs_fit_eighty_columns() {
        let reader = Reader {
            zone: TimeZone::UTC,
            now: "2026-03-02T08:00:00Z".parse().unwrap(),
        };
        let run = RunView {
            run: 12,
            app: "stubborn".to_owned(),
            task: "stay".to_owned(),
            number: 1,
            state: None,
            outcome: Some("hung".to_owned()),
            cancel_reason: Some("execution-time-exceeded".to_owned()),
            message: Some("it did not end within its 5 s of grace and was killed".to_owned()),
            started_at: Some("2026-03-02T07:59:00Z".parse().unwrap()),
            ended_at: Some("2026-03-02T07:59:30Z".parse().unwrap()),
            ran_ms: Some(30_004),
            progress: None,
            memory_peak: Some(3_141_592),
            push_id: None,
            attempt: 2,
            output: String::new(),
            pid: None,
            cgroup: None,
            exit: Some("killed".to_owned()),
        };
        let under_way = RunView {
            state: Some("running".to_owned()),
            outcome: None,
            cancel_reason: None,
            message: None,
            ended_at: None,
            progress: Some(40),
            attempt: 1,
            exit: None,
            ..run.clone()
        };
        let text = table(&[under_way, run], &reader).render(80);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
