//! What a device says, from the wire's types into the policy's; what cannot be is refused with the field's name.
//!
//! Deliberately absent: whether it is true (the shard and the store know).

use std::time::Duration;

use lull_fleet_policy::session::Presence;
use lull_fleet_policy::{AppId, Hop, Labels, PushId, Receipt, Wall, Word, bounds};
use lull_proto::device::v1::{self as wire, DeviceHello, SessionRequest, session_request};
use lull_proto::problem::invalid;
use lull_proto::push::v1 as push_wire;
use tonic::Status;

use crate::shard::messages::Said;
use crate::store::{DeviceReceipt, InstalledApp};

/// Most bytes of an incarnation or boot id: a UUID has 36.
const INCARNATION: usize = 64;
/// Most bytes of a version that are kept.
const VERSION: usize = 64;
/// Most receipts of one message (the proto's own bound).
const RECEIPTS: usize = 256;
/// Most apps of an inventory: those that a session can grant credit for.
const APPS: usize = bounds::CREDIT_APPS;

/// Who the hello says it is.
pub(super) fn presence(hello: &DeviceHello) -> Result<Presence, Status> {
    for (field, text) in [
        ("hello.boot_id", &hello.boot_id),
        ("hello.store_incarnation", &hello.store_incarnation),
    ] {
        if text.is_empty() || text.len() > INCARNATION {
            let length = text.len();
            return Err(invalid(
                field,
                format!("{length} bytes, 1 to {INCARNATION} are accepted"),
            ));
        }
    }
    Ok(Presence {
        boot: hello.boot_id.clone(),
        store: hello.store_incarnation.clone(),
    })
}

/// A version as it is kept.
pub(super) fn shortened(version: &str) -> String {
    let printable = version.chars().filter(|c| !c.is_control());
    let mut kept = String::new();
    for character in printable {
        if kept.len() + character.len_utf8() > VERSION {
            break;
        }
        kept.push(character);
    }
    kept
}

/// A message after the hello; `None` where it only shows that the device is there.
pub(super) fn said(request: SessionRequest) -> Result<Option<Said>, Status> {
    let message = request
        .message
        .ok_or_else(|| invalid("message", "empty, or of a newer protocol"))?;
    Ok(Some(match message {
        session_request::Message::Hello(_) => {
            return Err(invalid("message", "a second hello"));
        }
        session_request::Message::Pong(_) => return Ok(None),
        session_request::Message::Grant(grant) => {
            Said::Grant(app("grant.app", grant.app)?, grant.total)
        }
        session_request::Message::Acknowledge(acknowledge) => {
            Said::Acknowledge(acknowledge.delivered_through)
        }
        session_request::Message::Receipts(receipts) => Said::Receipts(self::receipts(receipts)?),
        session_request::Message::Inventory(inventory) => self::inventory(inventory)?,
    }))
}

fn app(field: &str, text: String) -> Result<AppId, Status> {
    AppId::new(text).map_err(|error| invalid(field, error.to_string()))
}

fn receipts(receipts: wire::Receipts) -> Result<Vec<DeviceReceipt>, Status> {
    let count = receipts.receipts.len();
    if count == 0 || count > RECEIPTS {
        return Err(invalid(
            "receipts",
            format!("{count} receipts, 1 to {RECEIPTS} are accepted"),
        ));
    }
    let mut last = 0;
    let mut all = Vec::with_capacity(count);
    for receipt in receipts.receipts {
        if receipt.sequence <= last {
            let sequence = receipt.sequence;
            return Err(invalid(
                "receipts.sequence",
                format!("{sequence} after {last}: they must ascend from 1"),
            ));
        }
        last = receipt.sequence;
        all.push(device_receipt(receipt)?);
    }
    Ok(all)
}

fn device_receipt(receipt: wire::DeviceReceipt) -> Result<DeviceReceipt, Status> {
    let push = PushId::parse(&receipt.push_id)
        .map_err(|error| invalid("receipts.push_id", error.to_string()))?;
    let told = receipt
        .receipt
        .ok_or_else(|| invalid("receipts.receipt", "missing"))?;
    let at = told.at.as_ref().map_or(Ok(0), |at| {
        lull_proto::time::wall_millis(at)
            .map_err(|error| invalid("receipts.receipt.at", error.to_string()))
    })?;
    Ok(DeviceReceipt {
        sequence: receipt.sequence,
        push,
        receipt: Receipt {
            hop: hop(told)?,
            at: Wall::from_millis(at),
        },
    })
}

fn hop(told: push_wire::Receipt) -> Result<Hop, Status> {
    let word = |field: &str, text: String| {
        Word::new(text).map_err(|error| invalid(field, error.to_string()))
    };
    let (run, attempt) = (told.run, told.attempt);
    match told.hop() {
        push_wire::Hop::Delivered => Ok(Hop::Delivered),
        push_wire::Hop::Started => Ok(Hop::Started { run, attempt }),
        push_wire::Hop::Finished => Ok(Hop::Finished {
            run,
            attempt,
            outcome: word("receipts.receipt.outcome", told.outcome)?,
        }),
        push_wire::Hop::Expired => Ok(Hop::Expired),
        push_wire::Hop::Dropped => Ok(Hop::Dropped {
            reason: word("receipts.receipt.reason", told.reason)?,
        }),
        push_wire::Hop::Unspecified | push_wire::Hop::Accepted => Err(invalid(
            "receipts.receipt.hop",
            format!("{} is no hop that a device reports", told.hop),
        )),
    }
}

/// A receipt on the wire.
pub(crate) fn receipt(receipt: Receipt) -> push_wire::Receipt {
    let terminal = receipt.hop.is_terminal();
    let mut told = push_wire::Receipt {
        at: Some(lull_proto::time::timestamp(receipt.at.as_millis())),
        terminal,
        ..push_wire::Receipt::default()
    };
    let hop = match receipt.hop {
        Hop::Accepted => push_wire::Hop::Accepted,
        Hop::Delivered => push_wire::Hop::Delivered,
        Hop::Started { run, attempt } => {
            (told.run, told.attempt) = (run, attempt);
            push_wire::Hop::Started
        }
        Hop::Finished {
            run,
            attempt,
            outcome,
        } => {
            (told.run, told.attempt) = (run, attempt);
            told.outcome = outcome.into();
            push_wire::Hop::Finished
        }
        Hop::Expired => push_wire::Hop::Expired,
        Hop::Dropped { reason } => {
            told.reason = reason.into();
            push_wire::Hop::Dropped
        }
    };
    told.set_hop(hop);
    told
}

fn inventory(inventory: wire::Inventory) -> Result<Said, Status> {
    if inventory.apps.len() > APPS {
        let count = inventory.apps.len();
        return Err(invalid(
            "inventory.apps",
            format!("{count} apps, at most {APPS} are accepted"),
        ));
    }
    let apps = inventory.apps.into_iter().map(|installed| {
        Ok(InstalledApp {
            app: app("inventory.apps.app", installed.app)?,
            version: shortened(&installed.version),
        })
    });
    let apps = apps.collect::<Result<Vec<_>, Status>>()?;
    let labels = Labels::of_device(inventory.labels)
        .map_err(|error| invalid("inventory.labels", error.to_string()))?;
    Ok(Said::Inventory(apps, labels))
}

/// Full jitter: between nothing and so long.
pub(crate) fn jitter(most: Duration) -> Duration {
    let mut bytes = [0; 2];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return most;
    }
    most * u32::from(u16::from_be_bytes(bytes)) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_survives_the_wire() {
        let word = |text| Word::new(text).unwrap();
        for hop in [
            Hop::Delivered,
            Hop::Started { run: 7, attempt: 2 },
            Hop::Finished {
                run: 7,
                attempt: 2,
                outcome: word("completed"),
            },
            Hop::Expired,
            Hop::Dropped {
                reason: word("no-handler"),
            },
        ] {
            let at = Wall::from_millis(1_763_700_000_123);
            let before = Receipt { hop, at };
            let told = receipt(before.clone());
            assert_eq!(told.terminal, before.hop.is_terminal());
            let after = device_receipt(wire::DeviceReceipt {
                sequence: 1,
                push_id: "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f".to_owned(),
                receipt: Some(told),
            });
            assert_eq!(after.unwrap().receipt, before);
        }
    }

    #[test]
    fn what_a_device_cannot_say_is_refused_by_field() {
        let many = wire::Receipts {
            receipts: vec![wire::DeviceReceipt::default(); RECEIPTS + 1],
        };
        let accepted = wire::DeviceReceipt {
            sequence: 1,
            push_id: "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f".to_owned(),
            receipt: Some(receipt(Receipt {
                hop: Hop::Accepted,
                at: Wall::from_millis(1),
            })),
        };
        let list = |receipts| session_request::Message::Receipts(wire::Receipts { receipts });
        for (message, field) in [
            (None, "message"),
            (
                Some(session_request::Message::Hello(DeviceHello::default())),
                "message",
            ),
            (
                Some(session_request::Message::Grant(wire::Grant::default())),
                "grant.app",
            ),
            (Some(session_request::Message::Receipts(many)), "receipts"),
            (Some(list(vec![])), "receipts"),
            (
                Some(list(vec![wire::DeviceReceipt::default()])),
                "receipts.sequence",
            ),
            (Some(list(vec![accepted])), "receipts.receipt.hop"),
        ] {
            let status = said(SessionRequest { message }).unwrap_err();
            let violations = lull_proto::problem::violations(&status);
            assert_eq!(violations.first().map(|v| v.0.as_str()), Some(field));
        }
    }

    #[test]
    fn versions_are_kept_short() {
        assert_eq!(shortened("1.2\n3"), "1.23");
        assert_eq!(shortened(&"é".repeat(100)).len(), VERSION);
    }
}
