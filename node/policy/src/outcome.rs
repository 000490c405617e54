//! How a run counts when it is over (rule book, 4e).

use crate::{Exit, Outcome, Run, RunState, Said};

/// The exit status by which a plain command says that it could not do its work (rule book 0a).
const ABORT_STATUS: u8 = 75;

/// The outcome of a run of a trigger task.
///
/// The first that applies:
/// 1. never started: `NotStarted`; lost by the node: what it had said, else `Lost` (rule book 0a, *Delivery*:
///    work declared done is not done again);
/// 2. the machine ordered its kill: `Hung` (RUN-12). The order counts, not the signal;
/// 3. it was asked to cancel: `Cancelled`, however it ended;
/// 4. it passed its memory cap: `MemoryQuotaExceeded` (RES-04);
/// 5. it said `Completed` or `Aborted`: that. What its processes do afterwards is in the exit;
/// 6. status 0: `Completed` (also without a word: a trigger task's code returned); status 75: `Aborted`;
/// 7. anything else: `UnhandledException` (RUN-21).
pub(crate) fn outcome(run: &Run, exit: &Exit) -> Outcome {
    let said = match &run.said {
        None => None,
        Some(Said::Completed) => Some(Outcome::Completed),
        Some(Said::Aborted { .. }) => Some(Outcome::Aborted),
    };
    match exit {
        Exit::LaunchFailed { .. } => return Outcome::NotStarted,
        Exit::Lost => return said.unwrap_or(Outcome::Lost),
        Exit::Status(_) | Exit::Signal(_) | Exit::MemoryExceeded => {}
    }
    match run.state {
        RunState::Killing => return Outcome::Hung,
        RunState::Cancelling => return Outcome::Cancelled,
        RunState::Starting | RunState::Running => {}
    }
    match exit {
        Exit::MemoryExceeded => Outcome::MemoryQuotaExceeded,
        Exit::Status(0) => said.unwrap_or(Outcome::Completed),
        Exit::Status(ABORT_STATUS) => said.unwrap_or(Outcome::Aborted),
        Exit::Status(_) | Exit::Signal(_) => said.unwrap_or(Outcome::UnhandledException),
        Exit::LaunchFailed { .. } => Outcome::NotStarted,
        Exit::Lost => Outcome::Lost,
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
        Outcome::UnhandledException => format!("it ended with {}", ended_with(exit)),
        Outcome::Lost => "the node lost it: nobody held it when the daemon came back".to_owned(),
        Outcome::NotStarted => ended_with(exit),
    };
    Some(cut(&words, crate::bounds::MESSAGE).to_owned())
}

fn ended_with(exit: &Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::MemoryExceeded => "a kill for memory".to_owned(),
        Exit::LaunchFailed { message } => message.clone(),
        Exit::Lost => "no trace".to_owned(),
    }
}

/// An exit whose message keeps its bound.
pub(crate) fn bounded(exit: Exit) -> Exit {
    match exit {
        Exit::LaunchFailed { message } => Exit::LaunchFailed {
            message: cut(&message, crate::bounds::MESSAGE).to_owned(),
        },
        Exit::Status(_) | Exit::Signal(_) | Exit::MemoryExceeded | Exit::Lost => exit,
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
