//! How a run counts when it is over (rule book, 4e).

use crate::{Exit, Outcome, Run, RunState, Said, Termination};

/// The exit status by which a plain command says that it could not do its work (rule book 0a).
const ABORT_STATUS: u8 = 75;

/// The outcome of a run.
///
/// The first that applies:
/// 1. never started: `NotStarted`; lost by the node: what it had said, else `Lost` (rule book 0a, *Delivery*:
///    work declared done is not done again);
/// 2. the device ended it without asking (4e): `ExecutionTimeExceeded` for its time, else `Terminated`;
/// 3. the machine ordered its kill after the grace: `Hung` (RUN-12). The order counts, not the signal;
/// 4. it was asked to cancel: `Cancelled`, however it ended;
/// 5. the whole device was short of memory: `Terminated` (RUN-14);
/// 6. it passed its memory cap: `MemoryQuotaExceeded` (RES-04, RES-05);
/// 7. it said `Completed` or `Aborted`: that. What its processes do afterwards is in the exit;
/// 8. status 0: `Completed` for a trigger task, whose code returned; a scheduled agent has to say so, else it is an
///    `UnhandledException` (RUN-44). Status 75: `Aborted`;
/// 9. anything else: `UnhandledException` (RUN-21).
pub(crate) fn outcome(run: &Run, exit: &Exit) -> Outcome {
    let said = match &run.said {
        None => None,
        Some(Said::Completed) => Some(Outcome::Completed),
        Some(Said::Aborted { .. }) => Some(Outcome::Aborted),
    };
    match exit {
        Exit::LaunchFailed { .. } => return Outcome::NotStarted,
        Exit::Lost => return said.unwrap_or(Outcome::Lost),
        Exit::Status(_)
        | Exit::Signal(_)
        | Exit::MemoryExceeded
        | Exit::SystemMemory
        | Exit::Vanished => {}
    }
    match run.state {
        RunState::Killing => {
            return match run.termination {
                Some(Termination::Time) => Outcome::ExecutionTimeExceeded,
                Some(_) => Outcome::Terminated,
                None => Outcome::Hung,
            };
        }
        RunState::Cancelling => return Outcome::Cancelled,
        RunState::Starting | RunState::Running => {}
    }
    let silent = if run.kind.is_scheduled() {
        Outcome::UnhandledException
    } else {
        Outcome::Completed
    };
    match exit {
        Exit::SystemMemory => Outcome::Terminated,
        Exit::MemoryExceeded => Outcome::MemoryQuotaExceeded,
        Exit::Status(0) => said.unwrap_or(silent),
        Exit::Status(ABORT_STATUS) => said.unwrap_or(Outcome::Aborted),
        Exit::Status(_) | Exit::Signal(_) | Exit::Vanished => {
            said.unwrap_or(Outcome::UnhandledException)
        }
        Exit::LaunchFailed { .. } => Outcome::NotStarted,
        Exit::Lost => Outcome::Lost,
    }
}

/// Why the device ended a run without asking it; absent where it did not.
pub(crate) fn termination(run: &Run, outcome: Outcome) -> Option<Termination> {
    match outcome {
        Outcome::Terminated => run.termination.or(Some(Termination::SystemMemory)),
        Outcome::ExecutionTimeExceeded => run.termination,
        Outcome::Completed
        | Outcome::Aborted
        | Outcome::Cancelled
        | Outcome::Hung
        | Outcome::MemoryQuotaExceeded
        | Outcome::UnhandledException
        | Outcome::Lost
        | Outcome::NotStarted => None,
    }
}

/// RUN-20: the error that an app can read off its run; absent for one without.
pub(crate) fn message(run: &Run, exit: &Exit, outcome: Outcome) -> Option<String> {
    let words = match outcome {
        Outcome::Completed | Outcome::Cancelled | Outcome::Terminated => return None,
        Outcome::Aborted => match &run.said {
            Some(Said::Aborted { message }) => message.clone(),
            Some(Said::Completed) | None => format!("it ended with {}", ended_with(exit)),
        },
        Outcome::Hung => {
            "it did not end within the grace after its cancel request and was killed".to_owned()
        }
        Outcome::MemoryQuotaExceeded => match run.memory {
            Some(cap) => format!("it passed its memory cap of {} bytes and was killed", cap.0),
            None => "the system ran out of memory and killed it".to_owned(),
        },
        Outcome::ExecutionTimeExceeded => "its time was over and it was ended".to_owned(),
        Outcome::UnhandledException => match (run.kind.is_scheduled(), exit) {
            (true, Exit::Status(0)) => "it ended without saying that its work is done".to_owned(),
            _ => format!("it ended with {}", ended_with(exit)),
        },
        Outcome::Lost => "the node lost it: nobody held it when the daemon came back".to_owned(),
        Outcome::NotStarted => ended_with(exit),
    };
    Some(cut(&words, crate::bounds::MESSAGE).to_owned())
}

fn ended_with(exit: &Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::MemoryExceeded | Exit::SystemMemory => "a kill for memory".to_owned(),
        Exit::LaunchFailed { message } => message.clone(),
        Exit::Lost => "no trace".to_owned(),
        Exit::Vanished => "the app's own process, which went in the middle of it".to_owned(),
    }
}

/// An exit whose message keeps its bound.
pub(crate) fn bounded(exit: Exit) -> Exit {
    match exit {
        Exit::LaunchFailed { message } => Exit::LaunchFailed {
            message: cut(&message, crate::bounds::MESSAGE).to_owned(),
        },
        Exit::Status(_)
        | Exit::Signal(_)
        | Exit::MemoryExceeded
        | Exit::SystemMemory
        | Exit::Lost
        | Exit::Vanished => exit,
    }
}

/// The first bytes of a text, whole characters only.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The last bytes of a text, whole characters only.
pub(crate) fn tail(text: String, bytes: usize) -> String {
    match text.len().checked_sub(bytes) {
        None | Some(0) => text,
        Some(surplus) => text[text.ceil_char_boundary(surplus)..].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CancelReason;
    use crate::test::run;

    #[test]
    fn outcomes() {
        use {Exit as E, Outcome as O, RunState as S};
        let completed = Some(Said::Completed);
        let aborted = Some(Said::Aborted {
            message: "no server".to_owned(),
        });
        let failed = E::LaunchFailed {
            message: "no such file".to_owned(),
        };
        let rows = [
            (S::Running, None, E::Status(0), O::Completed),
            (S::Starting, None, E::Status(0), O::Completed),
            (S::Running, None, E::Status(1), O::UnhandledException),
            (S::Running, None, E::Status(74), O::UnhandledException),
            (S::Running, None, E::Status(75), O::Aborted),
            (S::Running, None, E::Status(76), O::UnhandledException),
            (S::Running, None, E::Signal(9), O::UnhandledException),
            (S::Running, None, E::Signal(11), O::UnhandledException),
            (S::Running, None, E::MemoryExceeded, O::MemoryQuotaExceeded),
            (S::Running, completed.clone(), E::Status(0), O::Completed),
            (S::Running, completed.clone(), E::Status(1), O::Completed),
            (S::Running, completed.clone(), E::Signal(9), O::Completed),
            (
                S::Running,
                completed.clone(),
                E::MemoryExceeded,
                O::MemoryQuotaExceeded,
            ),
            (S::Running, aborted.clone(), E::Status(0), O::Aborted),
            (S::Running, aborted.clone(), E::Signal(6), O::Aborted),
            (S::Cancelling, None, E::Status(0), O::Cancelled),
            (S::Cancelling, None, E::Status(75), O::Cancelled),
            (S::Cancelling, None, E::Signal(9), O::Cancelled),
            (S::Cancelling, None, E::MemoryExceeded, O::Cancelled),
            (S::Cancelling, completed.clone(), E::Status(0), O::Cancelled),
            (S::Killing, None, E::Signal(9), O::Hung),
            (S::Killing, None, E::Status(0), O::Hung),
            (S::Running, None, E::Lost, O::Lost),
            (S::Cancelling, None, E::Lost, O::Lost),
            (S::Killing, None, E::Lost, O::Lost),
            (S::Running, completed, E::Lost, O::Completed),
            (S::Running, aborted, E::Lost, O::Aborted),
            (S::Starting, None, failed.clone(), O::NotStarted),
            (S::Cancelling, None, failed, O::NotStarted),
        ];
        for (state, said, exit, expected) in rows {
            let cancel_reason = match state {
                S::Starting | S::Running => None,
                S::Cancelling | S::Killing => Some(CancelReason::ExecutionTimeExceeded),
            };
            let run = Run {
                state,
                cancel_reason,
                said,
                ..run()
            };
            assert_eq!(
                outcome(&run, &exit),
                expected,
                "{state:?} {:?} {exit:?}",
                run.said
            );
        }
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("aé", 1), "a");
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(tail("éa".to_owned(), 1), "a");
        assert_eq!(tail("éa".to_owned(), 2), "a");
        assert_eq!(tail("éa".to_owned(), 3), "éa");
        assert_eq!(tail("éa".to_owned(), 4), "éa");
    }
}
