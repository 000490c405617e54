//! Between the wire's words and the machine's.

use lull_policy::{
    AppId, DropReason, Hop, NameError, Outcome, Priority, Push, PushId, Receipt, Retention, Wall,
};
use lull_proto::device::v1::{self as wire, Delivery};
use lull_proto::push::v1 as push_wire;
use lull_proto::time::{TimeError, timestamp, wall_millis};

/// Why a delivery is no push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DeliveryError {
    /// Its id or app is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Its body is empty or too long.
    #[error("the payload has {0} bytes, 1 to {limit} are accepted", limit = lull_policy::bounds::PUSH_PAYLOAD)]
    Payload(usize),
    /// It has no end, or one that is no moment.
    #[error("expires_at is missing")]
    NoExpiry,
    /// Its end is no moment.
    #[error("expires_at")]
    Expiry(#[from] TimeError),
}

/// The push of a delivery.
pub(super) fn push(delivery: Delivery) -> Result<Push, DeliveryError> {
    let length = delivery.payload.len();
    if length == 0 || length > lull_policy::bounds::PUSH_PAYLOAD {
        return Err(DeliveryError::Payload(length));
    }
    let expires = delivery.expires_at.ok_or(DeliveryError::NoExpiry)?;
    Ok(Push {
        id: PushId::new(delivery.push_id)?,
        app: AppId::new(delivery.app)?,
        payload: delivery.payload.into(),
        expires: Wall::from_millis(wall_millis(&expires)?),
        // The wire says nothing of these yet: a raw push's defaults.
        retention: Retention::default(),
        priority: Priority::default(),
        collapse_key: None,
    })
}

/// A receipt as the wire has it.
pub(super) fn receipt(receipt: &Receipt) -> wire::DeviceReceipt {
    let mut told = push_wire::Receipt {
        at: Some(timestamp(receipt.at.as_millis())),
        terminal: true,
        ..push_wire::Receipt::default()
    };
    match &receipt.hop {
        Hop::Delivered => {
            told.set_hop(push_wire::Hop::Delivered);
            told.terminal = false;
        }
        Hop::Started { run, attempt } => {
            told.set_hop(push_wire::Hop::Started);
            told.terminal = false;
            (told.run, told.attempt) = (run.0, *attempt);
        }
        Hop::Finished {
            run,
            attempt,
            outcome,
        } => {
            told.set_hop(push_wire::Hop::Finished);
            (told.run, told.attempt) = (run.0, *attempt);
            outcome_word(*outcome).clone_into(&mut told.outcome);
        }
        // The wire has no hop for it: no task runs, and the reason says that the app got it.
        Hop::ShownToApp => {
            told.set_hop(push_wire::Hop::Dropped);
            SHOWN_TO_APP.clone_into(&mut told.reason);
        }
        Hop::Expired => told.set_hop(push_wire::Hop::Expired),
        Hop::Dropped { reason } => {
            told.set_hop(push_wire::Hop::Dropped);
            reason_word(*reason).clone_into(&mut told.reason);
        }
    }
    wire::DeviceReceipt {
        sequence: receipt.seq.0,
        push_id: receipt.push.as_str().to_owned(),
        receipt: Some(told),
    }
}

/// The reason of a push that the app in the foreground handled itself (PSH-09).
const SHOWN_TO_APP: &str = "shown-to-app";

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Aborted => "aborted",
        Outcome::Cancelled => "cancelled",
        Outcome::Hung => "hung",
        Outcome::MemoryQuotaExceeded => "memory-quota-exceeded",
        Outcome::ExecutionTimeExceeded => "execution-time-exceeded",
        Outcome::UnhandledException => "unhandled-exception",
        Outcome::Terminated => "terminated",
        Outcome::Lost => "lost",
        Outcome::NotStarted => "not-started",
    }
}

fn reason_word(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Access => "access",
        DropReason::AccessRemoved => "access-removed",
        DropReason::Unregistered => "unregistered",
        DropReason::Coalesced => "coalesced",
        DropReason::QueueFull => "queue-full",
        DropReason::Reboot => "reboot",
        DropReason::Expired => "expired",
        DropReason::NoHandler => "no-handler",
        DropReason::Invalid => "invalid",
        DropReason::Uninstalled => "uninstalled",
        DropReason::Duplicate => "duplicate",
        DropReason::AttemptsExhausted => "attempts-exhausted",
        DropReason::Policy => "policy",
        DropReason::Operator => "operator",
        DropReason::Collapsed => "collapsed",
        DropReason::Unscheduled => "unscheduled",
    }
}

#[cfg(test)]
mod tests {
    use lull_policy::{ReceiptSeq, RunId};

    use super::*;

    fn delivery() -> Delivery {
        Delivery {
            sequence: 3,
            push_id: "0196".into(),
            app: "photos".into(),
            payload: vec![1, 2].into(),
            expires_at: Some(timestamp(1_000)),
        }
    }

    const BEFORE_1970: prost_types::Timestamp = prost_types::Timestamp {
        seconds: -1,
        nanos: 0,
    };

    #[test]
    fn a_delivery_becomes_a_push_or_says_why_not() {
        let taken = push(delivery()).unwrap();
        assert_eq!((taken.id.as_str(), taken.app.as_str()), ("0196", "photos"));
        assert_eq!(taken.expires, Wall::from_millis(1_000));
        let wrong = |change: fn(&mut Delivery)| {
            let mut delivery = delivery();
            change(&mut delivery);
            push(delivery).unwrap_err().to_string()
        };
        for (change, error) in [
            (
                (|d| d.payload = bytes::Bytes::new()) as fn(&mut Delivery),
                "the payload has 0 bytes, 1 to 5000 are accepted",
            ),
            (
                |d| d.payload = vec![0; 5_001].into(),
                "the payload has 5001 bytes, 1 to 5000 are accepted",
            ),
            (
                |d| d.app = "../x".into(),
                "app id \"../x\" has the character '/'; use letters, digits, '-', '_', '.' and ':'",
            ),
            (
                |d| d.push_id = String::new(),
                "push id must have 1 to 64 bytes, this one has 0",
            ),
            (|d| d.expires_at = None, "expires_at is missing"),
            (|d| d.expires_at = Some(BEFORE_1970), "expires_at"),
        ] {
            assert_eq!(wrong(change), error);
        }
    }

    #[test]
    fn every_hop_is_told_and_the_last_ones_are_terminal() {
        let run = RunId(7);
        let hops = [
            (Hop::Delivered, false),
            (Hop::Started { run, attempt: 2 }, false),
            (
                Hop::Finished {
                    run,
                    attempt: 2,
                    outcome: Outcome::Hung,
                },
                true,
            ),
            (Hop::ShownToApp, true),
            (Hop::Expired, true),
            (
                Hop::Dropped {
                    reason: DropReason::NoHandler,
                },
                true,
            ),
        ];
        let told: Vec<wire::DeviceReceipt> = hops
            .iter()
            .zip(1..)
            .map(|((hop, terminal), seq)| {
                let told = receipt(&Receipt {
                    seq: ReceiptSeq(seq),
                    push: PushId::new("0196").unwrap(),
                    hop: hop.clone(),
                    at: Wall::from_millis(5),
                });
                assert_eq!(
                    told.receipt.as_ref().unwrap().terminal,
                    *terminal,
                    "{hop:?}"
                );
                told
            })
            .collect();
        insta::assert_debug_snapshot!(told);
    }

    #[test]
    fn words_are_those_of_the_machine() {
        for outcome in [
            Outcome::Completed,
            Outcome::Aborted,
            Outcome::Cancelled,
            Outcome::Hung,
            Outcome::MemoryQuotaExceeded,
            Outcome::ExecutionTimeExceeded,
            Outcome::UnhandledException,
            Outcome::Terminated,
            Outcome::Lost,
            Outcome::NotStarted,
        ] {
            assert_eq!(
                serde_json::to_value(outcome).unwrap(),
                outcome_word(outcome)
            );
        }
        for reason in [
            DropReason::Access,
            DropReason::AccessRemoved,
            DropReason::Unregistered,
            DropReason::Coalesced,
            DropReason::QueueFull,
            DropReason::Reboot,
            DropReason::Expired,
            DropReason::NoHandler,
            DropReason::Invalid,
            DropReason::Uninstalled,
            DropReason::Duplicate,
            DropReason::AttemptsExhausted,
            DropReason::Policy,
            DropReason::Operator,
            DropReason::Collapsed,
            DropReason::Unscheduled,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason_word(reason));
        }
    }
}
