//! `lull why`: what holds a task back now, and what would make it run.

use lull_proto::local::v1::WhyRequest;

use crate::command::{Global, Why};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;
use crate::view::{ExplanationView, ReasonView, StarvationView, VerdictView};
use crate::words::{Reader, count};

/// Runs the verb.
pub(crate) async fn run(global: &Global, why: Why, output: &Output) -> Result<(), Failure> {
    let subject = why.subject.as_deref().unwrap_or_default();
    let (app, task) = subject.split_once('/').unwrap_or((subject, ""));
    let node = Node::of(global).await?;
    let explanations = ask(&node, app, task).await?;
    if output.json() {
        output.document(&serde_json::json!({ "explanations": explanations }));
        return Ok(());
    }
    if explanations.is_empty() {
        output.line("nothing starves: every task that should have run by now did");
        return Ok(());
    }
    let reader = Reader::here();
    for explanation in &explanations {
        output.line(words(explanation, &reader));
    }
    Ok(())
}

/// Asks a node about one task, about all of an app (`task` empty), or about whatever starves (both empty).
pub(crate) async fn ask(
    node: &Node,
    app: &str,
    task: &str,
) -> Result<Vec<ExplanationView>, Failure> {
    let request = WhyRequest {
        app: app.to_owned(),
        task: task.to_owned(),
    };
    let answer = node.operator().why(request).await;
    let answer = answer.map_err(|status| node.failure(&status))?.into_inner();
    Ok(answer
        .explanations
        .into_iter()
        .map(ExplanationView::from)
        .collect())
}

/// An explanation as people read it.
pub(crate) fn words(explanation: &ExplanationView, reader: &Reader) -> String {
    let standing = standing(explanation, reader);
    let mut lines = vec![format!(
        "{}/{}: {standing}",
        explanation.app, explanation.task
    )];
    lines.extend(
        explanation
            .reasons
            .iter()
            .map(|reason| reason_line(reason, reader)),
    );
    let next = explanation
        .next
        .map(|at| format!(", next {}", reader.moment(at)));
    lines.push(format!(
        "  fires: {}{}",
        explanation.fires,
        next.unwrap_or_default()
    ));
    lines.extend(
        explanation
            .starves
            .as_ref()
            .map(|starves| starvation(starves, reader)),
    );
    lines.extend(
        explanation
            .recent
            .iter()
            .map(|entry| verdict_line(entry, reader)),
    );
    lines.join("\n")
}

fn reason_line(reason: &ReasonView, reader: &Reader) -> String {
    let since = reason
        .since
        .map(|at| format!(" since {}", reader.moment(at)));
    let until = reason
        .until
        .map(|at| format!(", by the clock {}", reader.ago(at)));
    format!(
        "  {}: {}{}; {}{}",
        reason.reason,
        reason.seen,
        since.unwrap_or_default(),
        reason.needs,
        until.unwrap_or_default()
    )
}

fn starvation(starves: &StarvationView, reader: &Reader) -> String {
    let keeps = match &starves.blocked_by {
        Some(gate) => format!("{gate} keeps it"),
        None => "nothing fires it".to_owned(),
    };
    format!(
        "  starves: {} of {} since {}, {keeps}; {}: {}",
        starves.actual,
        count(starves.expected, "run"),
        starves
            .since
            .map(|at| reader.moment(at))
            .unwrap_or_default(),
        starves.remedy_by,
        starves.remedy
    )
}

fn verdict_line(entry: &VerdictView, reader: &Reader) -> String {
    let fired = entry.fired.map(|at| reader.moment(at)).unwrap_or_default();
    let reason = entry.reason.as_ref().map(|reason| format!(" ({reason})"));
    let run = entry.run.map(|run| format!(", run {run}"));
    format!(
        "  firing {} at {fired}: {}{}{}",
        entry.firing,
        entry.verdict,
        reason.unwrap_or_default(),
        run.unwrap_or_default()
    )
}

fn standing(explanation: &ExplanationView, reader: &Reader) -> String {
    if let Some(blocked) = &explanation.blocked {
        return format!("can never run as things stand: {blocked}");
    }
    if let Some(run) = explanation.running {
        return format!("runs now (run {run})");
    }
    match explanation.waiting_since {
        Some(since) => format!(
            "{} for a run since {}",
            match explanation.waiting {
                1 => "1 firing waits".to_owned(),
                firings => format!("{} wait", count(firings, "firing")),
            },
            reader.moment(since)
        ),
        None if explanation.reasons.is_empty() => "would run when it fires".to_owned(),
        None => "would not run if it fired now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn an_explanation_names_what_must_change() {
        let reader = Reader {
            zone: TimeZone::UTC,
            now: "2026-03-02T08:00:00Z".parse().unwrap(),
        };
        let explanation = ExplanationView {
            app: "reports".to_owned(),
            task: "report".to_owned(),
            registration: 3,
            waiting_since: Some("2026-03-02T07:58:00Z".parse().unwrap()),
            waiting: 1,
            running: None,
            blocked: None,
            reasons: vec![ReasonView {
                reason: "internet".to_owned(),
                since: Some("2026-03-02T07:00:00Z".parse().unwrap()),
                seen: "internet reads false".to_owned(),
                needs: "the Internet has to become available".to_owned(),
                until: None,
            }],
            fires: "on each push".to_owned(),
            next: None,
            recent: vec![VerdictView {
                firing: 9,
                fired: Some("2026-03-02T07:58:00Z".parse().unwrap()),
                verdict: "waiting".to_owned(),
                reason: Some("internet".to_owned()),
                decided: Some("2026-03-02T07:58:00Z".parse().unwrap()),
                run: None,
            }],
            starves: Some(StarvationView {
                since: Some("2026-02-27T07:58:00Z".parse().unwrap()),
                expected: 3,
                actual: 0,
                blocked_by: Some("internet".to_owned()),
                remedy_by: "device".to_owned(),
                remedy: "the Internet has to become available".to_owned(),
            }),
        };
        insta::assert_snapshot!(words(&explanation, &reader));
    }
}
