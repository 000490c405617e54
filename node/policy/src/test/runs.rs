//! Runs: limits, cancellation, reports, ends.

use super::*;

/// A bench whose first run has just been launched for a timer.
fn running() -> Bench {
    let mut bench = Bench::new();
    bench.register(request("t", once(15)));
    bench.until(15 * MINUTE);
    bench.start(1);
    bench
}

fn state(bench: &Bench) -> Option<RunState> {
    bench.device.runs().next().map(|run| run.state)
}

#[test]
fn asked_at_25_and_killed_at_30_seconds() {
    let mut bench = running();
    let rows = [
        (24_999, RunState::Running),
        (25_000, RunState::Cancelling),
        (29_999, RunState::Cancelling),
        (30_000, RunState::Killing),
        (60_000, RunState::Killing),
    ];
    let mut passed = 0;
    for (at, expected) in rows {
        bench.pass(at - passed);
        passed = at;
        bench.send(Event::DeadlineReached);
        assert_eq!(state(&bench), Some(expected), "at {at} ms");
        match at {
            25_000 => {
                let reason = CancelReason::ExecutionTimeExceeded;
                let kill_at = Some(bench.now.running.after(Span::seconds(5)));
                assert_eq!(
                    bench.effects,
                    [Effect::AskToCancel {
                        run: RunId(1),
                        reason,
                        kill_at
                    }]
                );
            }
            30_000 => assert_eq!(bench.effects, [Effect::Kill { run: RunId(1) }]),
            _ => assert_eq!(bench.effects, []),
        }
    }
    bench.end(1, Exit::Signal(9));
    assert_eq!(bench.last_outcome(), Outcome::Hung);
    assert_eq!(
        bench.device.finished().last().unwrap().ran,
        Span::millis(60_000)
    );
}

#[test]
fn an_end_counts_by_what_was_asked_before_it() {
    let rows = [
        (24_999, true, Outcome::Completed),
        (25_000, false, Outcome::Completed),
        (25_000, true, Outcome::Cancelled),
        (29_999, true, Outcome::Cancelled),
        (30_000, false, Outcome::Cancelled),
        (30_000, true, Outcome::Hung),
    ];
    for (at, deadline_first, expected) in rows {
        let mut bench = running();
        if at > 25_000 {
            bench.pass(25_000);
            bench.send(Event::DeadlineReached);
            bench.pass(at - 25_000);
        } else {
            bench.pass(at);
        }
        if deadline_first {
            bench.send(Event::DeadlineReached);
        }
        bench.end(1, Exit::Status(0));
        assert_eq!(
            bench.last_outcome(),
            expected,
            "at {at}, deadline first: {deadline_first}"
        );
    }
}

#[test]
fn an_application_run_has_ten_minutes() {
    let mut bench = Bench::new();
    bench.register(request("work", Trigger::Application));
    bench.ask(Request::RequestRun {
        app: app_id("mail"),
        name: task("work"),
    });
    bench.start(1);
    bench.until(594_999);
    assert_eq!(state(&bench), Some(RunState::Running));
    bench.until(595_000);
    assert_eq!(state(&bench), Some(RunState::Cancelling));
    bench.until(599_999);
    assert_eq!(state(&bench), Some(RunState::Cancelling));
    bench.until(600_000);
    assert_eq!(state(&bench), Some(RunState::Killing));
}

#[test]
fn a_launch_carries_the_limits() {
    let mut bench = Bench::new();
    let mut mail = app("mail");
    mail.agents[0].time = Some(Span::seconds(12));
    mail.agents[0].memory = Some(Bytes::mib(32));
    bench.send(Event::Apps(vec![mail]));
    bench.register(request("p", Trigger::Push));
    bench.push("p1");
    let launch = bench
        .effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Launch(launch) => Some(launch.as_ref().clone()),
            _ => None,
        })
        .unwrap();
    let start = bench.now.running;
    assert_eq!(launch.cancel_at, Some(start.after(Span::seconds(7))));
    assert_eq!(launch.kill_at, Some(start.after(Span::seconds(12))));
    assert_eq!(launch.memory, Some(Bytes::mib(32)));
    assert_eq!(launch.push.unwrap().payload, b"hello");
    assert_eq!(
        (launch.number, launch.attempt, launch.trigger),
        (1, 1, Trigger::Push)
    );
}

#[test]
fn a_cancel_is_asked_once_and_never_outlives_the_limit() {
    let mut bench = running();
    let limit = bench.device.runs().next().unwrap().kill_at;
    bench.pass(27_000);
    // The deadline was not kept (a stalled host), and something else asks first.
    let choice = Some(AccessChoice::Never);
    bench.ask(Request::SetAccess {
        app: app_id("mail"),
        choice,
    });
    let run = bench.device.runs().next().unwrap().clone();
    assert_eq!(run.cancel_reason, Some(CancelReason::ResourceRevocation));
    assert_eq!(run.kill_at, limit, "30 s, not 32");
    bench.send(Event::Apps(Vec::new()));
    let again = bench
        .effects
        .iter()
        .any(|e| matches!(e, Effect::AskToCancel { .. }));
    assert!(!again, "the first reason stands");
    assert_eq!(bench.device.runs().next().unwrap().kill_at, limit);
}

#[test]
fn a_run_whose_time_is_long_over_is_killed_at_once() {
    let mut bench = running();
    bench.pass(MINUTE);
    bench.send(Event::DeadlineReached);
    assert_eq!(state(&bench), Some(RunState::Killing));
    assert!(bench.effects.contains(&Effect::Kill { run: RunId(1) }));
}

#[test]
fn orders_that_overtook_the_launch_are_repeated() {
    let mut bench = Bench::new();
    bench.register(request("t", once(15)));
    bench.until(15 * MINUTE);
    bench.pass(25_000);
    bench.send(Event::DeadlineReached);
    bench.start(1);
    assert!(
        bench
            .effects
            .iter()
            .any(|e| matches!(e, Effect::AskToCancel { .. }))
    );
    bench.pass(5_000);
    bench.send(Event::DeadlineReached);
    bench.start(1);
    assert!(bench.effects.contains(&Effect::Kill { run: RunId(1) }));
}

#[test]
fn a_run_that_says_it_is_done_still_has_its_limit() {
    let mut bench = running();
    bench.send(Event::RunReported {
        run: RunId(1),
        report: Report::Completed,
    });
    assert_eq!(state(&bench), Some(RunState::Running));
    let aborted = Report::Aborted {
        message: "too late".to_owned(),
    };
    bench.send(Event::RunReported {
        run: RunId(1),
        report: aborted,
    });
    assert_eq!(
        bench.device.runs().next().unwrap().said,
        Some(Said::Completed),
        "first word"
    );
    bench.pass(30_000);
    bench.send(Event::DeadlineReached);
    assert_eq!(state(&bench), Some(RunState::Killing));
}

#[test]
fn what_an_end_leaves() {
    let aborted = Some(Report::Aborted {
        message: "no server".to_owned(),
    });
    let failed = Exit::LaunchFailed {
        message: "no such file".to_owned(),
    };
    let rows = [
        (None, Exit::Status(0), Outcome::Completed, None),
        (
            None,
            Exit::Status(75),
            Outcome::Aborted,
            Some("it ended with exit status 75"),
        ),
        (
            aborted,
            Exit::Status(0),
            Outcome::Aborted,
            Some("no server"),
        ),
        (
            None,
            Exit::Signal(11),
            Outcome::UnhandledException,
            Some("it ended with signal 11"),
        ),
        (None, failed, Outcome::NotStarted, Some("no such file")),
    ];
    for (report, exit, outcome, message) in rows {
        let mut bench = running();
        bench.pass(3_000);
        if let Some(report) = report {
            bench.send(Event::RunReported {
                run: RunId(1),
                report,
            });
        }
        bench.end(1, exit.clone());
        let finished = bench.device.finished().last().unwrap();
        assert_eq!(finished.outcome, outcome, "{exit:?}");
        assert_eq!(finished.message.as_deref(), message, "{exit:?}");
        assert_eq!(finished.ran, Span::seconds(3));
        assert_eq!(
            bench.device.registrations().count(),
            1,
            "the registration stays (RUN-21)"
        );
        let completion = Notice::Completion(Box::new(finished.clone()));
        assert!(bench.effects.contains(&Effect::Notify {
            app: app_id("mail"),
            notice: completion
        }));
    }
}

#[test]
fn progress_is_the_newest_value() {
    let mut bench = running();
    for (value, told) in [(1, true), (2, true), (2, false)] {
        bench.send(Event::RunReported {
            run: RunId(1),
            report: Report::Progress(value),
        });
        assert_eq!(!bench.effects.is_empty(), told, "{value}");
    }
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.device.finished().last().unwrap().progress, Some(2));
}

#[test]
fn texts_are_bounded() {
    let mut bench = running();
    let long = "é".repeat(bounds::OUTPUT);
    let report = Report::Aborted {
        message: long.clone(),
    };
    bench.send(Event::RunReported {
        run: RunId(1),
        report,
    });
    let usage = Usage::default();
    let exit = Exit::LaunchFailed {
        message: long.clone(),
    };
    bench.send(Event::RunEnded {
        run: RunId(1),
        exit,
        usage,
        output: long,
    });
    let finished = bench.device.finished().last().unwrap();
    assert_eq!(finished.output.len(), bounds::OUTPUT);
    assert_eq!(finished.message.as_ref().unwrap().len(), bounds::MESSAGE);
    let Exit::LaunchFailed { message } = &finished.exit else {
        panic!("{:?}", finished.exit)
    };
    assert_eq!(message.len(), bounds::MESSAGE);
}

#[test]
fn what_is_nobodys_changes_nothing() {
    let mut bench = running();
    let records = bench.device.records();
    bench.start(9);
    bench.end(9, Exit::Status(0));
    bench.send(Event::RunReported {
        run: RunId(9),
        report: Report::Completed,
    });
    bench.start(1);
    assert_eq!(bench.effects, []);
    assert_eq!(bench.device.records(), records);
}

#[test]
fn the_newest_ended_runs_and_verdicts_are_kept() {
    let mut bench = Bench::new();
    bench.register(request("p", Trigger::Push));
    let count = bounds::FINISHED_RUNS as u64 + 3;
    for run in 1..=count {
        bench.pass(1);
        bench.push(&format!("p{run}"));
        bench.end(run, Exit::Status(0));
    }
    let kept: Vec<_> = bench.device.finished().map(|run| run.id.0).collect();
    assert_eq!(kept, (4..=count).collect::<Vec<_>>());
    let verdicts = bench
        .device
        .records()
        .into_iter()
        .filter_map(|record| match record {
            Record::Verdict(entry) => Some(entry.firing),
            _ => None,
        });
    assert_eq!(
        verdicts.collect::<Vec<_>>(),
        (4..=count).collect::<Vec<_>>()
    );
    assert_eq!(bounds::VERDICTS, bounds::FINISHED_RUNS);
    assert_eq!(bench.device.firings(), count, "sums are never forgotten");
}

#[test]
fn a_policy_change_leaves_runs_their_limits() {
    let mut bench = running();
    let before = bench.device.runs().next().unwrap().clone();
    let task_time = Span::seconds(60);
    bench.send(Event::PolicyChanged(Policy {
        task_time,
        ..Policy::default()
    }));
    assert_eq!(bench.device.runs().next().unwrap(), &before);
    assert_eq!(bench.device.policy().task_time, task_time);
}
