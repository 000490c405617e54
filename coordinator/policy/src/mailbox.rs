//! What a device's mailbox takes: a pure function over its summary.
//!
//! A mailbox is decided on by one shard at a time (the store's epoch sees to that). The shard keeps a [`Mailbox`] for each
//! of its devices, reserves a [`Slot`] when it decides, and settles or releases it when the store has answered. Reserved
//! slots count against the bounds, so that decisions can be made while earlier ones are still being committed.
//!
//! Deliberately absent: the rows; their expiry and order ([`crate::delivery`]).

use serde::{Deserialize, Serialize};

use crate::{DeviceId, bounds};

/// A row's place in its mailbox. Increasing, with gaps; counts from 1. Not what the device sees:
/// that is the delivery number of [`crate::Outbox`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(pub u64);

/// Bounds of a mailbox; the operator may change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Pushes that wait; [`bounds::MAILBOX_COUNT`].
    pub mailbox_count: u32,
    /// Bytes of payload that wait; [`bounds::MAILBOX_BYTES`].
    pub mailbox_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailbox_count: bounds::MAILBOX_COUNT,
            mailbox_bytes: bounds::MAILBOX_BYTES,
        }
    }
}

/// The summary of one device's mailbox: what is durable, and what is reserved on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mailbox {
    next: Sequence,
    count: u32,
    bytes: u64,
}

/// A place in a mailbox, decided and not yet durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Whose mailbox.
    pub device: DeviceId,
    /// The row's place.
    pub sequence: Sequence,
    /// Bytes of its payload.
    pub bytes: u64,
}

/// A mailbox has no room; nothing was stored for any device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// By count.
    #[error(
        "the mailbox of device {device} holds {has} pushes, at most {limit} may wait; send again when the device has taken some"
    )]
    Count {
        /// Whose.
        device: DeviceId,
        /// Pushes there.
        has: u32,
        /// The bound.
        limit: u32,
    },
    /// By bytes.
    #[error(
        "the mailbox of device {device} holds {has} bytes and this push has {length}, at most {limit} may wait; send again when the device has taken some"
    )]
    Bytes {
        /// Whose.
        device: DeviceId,
        /// Bytes there.
        has: u64,
        /// Bytes of the push.
        length: u64,
        /// The bound.
        limit: u64,
    },
}

impl Mailbox {
    /// A mailbox as the store has it: the place of the next row, the rows and the bytes that wait.
    pub fn new(next: Sequence, count: u32, bytes: u64) -> Self {
        Self {
            next: Sequence(next.0.max(1)),
            count,
            bytes,
        }
    }

    /// The place that the next row gets.
    pub fn next(&self) -> Sequence {
        Sequence(self.next.0.max(1))
    }

    /// Pushes that wait, reserved ones included.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of payload that wait, reserved ones included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a payload of `length` bytes has room.
    pub fn room(&self, device: DeviceId, length: u64, limits: &Limits) -> Result<(), Full> {
        if self.count >= limits.mailbox_count {
            return Err(Full::Count {
                device,
                has: self.count,
                limit: limits.mailbox_count,
            });
        }
        if self.bytes.saturating_add(length) > limits.mailbox_bytes {
            return Err(Full::Bytes {
                device,
                has: self.bytes,
                length,
                limit: limits.mailbox_bytes,
            });
        }
        Ok(())
    }

    /// Takes a place for a payload of `length` bytes.
    pub fn reserve(
        &mut self,
        device: DeviceId,
        length: u64,
        limits: &Limits,
    ) -> Result<Slot, Full> {
        self.room(device, length, limits)?;
        let sequence = self.next();
        self.next = Sequence(sequence.0.saturating_add(1));
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(length);
        Ok(Slot {
            device,
            sequence,
            bytes: length,
        })
    }

    /// A row has left, or a reserved slot was not used. The place is not given again.
    pub fn release(&mut self, bytes: u64) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Takes a place in each of the mailboxes, or in none.
pub fn reserve_all<'a>(
    mailboxes: impl IntoIterator<Item = (DeviceId, &'a mut Mailbox)>,
    length: u64,
    limits: &Limits,
) -> Result<Vec<Slot>, Full> {
    let mut mailboxes: Vec<_> = mailboxes.into_iter().collect();
    for (device, mailbox) in &mailboxes {
        mailbox.room(*device, length, limits)?;
    }
    mailboxes
        .iter_mut()
        .map(|(device, mailbox)| mailbox.reserve(*device, length, limits))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEVICE: DeviceId = DeviceId::from_bytes([1; 16]);
    const LIMITS: Limits = Limits {
        mailbox_count: 3,
        mailbox_bytes: 100,
    };

    #[test]
    fn a_mailbox_at_its_bounds() {
        // (count, bytes, length of the push) -> accepted
        let table = [
            ((0, 0, 100), true),
            ((0, 0, 101), false),
            ((2, 99, 1), true),
            ((2, 99, 2), false),
            ((3, 3, 1), false),
            ((4, 3, 1), false),
            ((2, u64::MAX, 1), false),
        ];
        for ((count, bytes, length), accepted) in table {
            let mailbox = Mailbox::new(Sequence(9), count, bytes);
            let room = mailbox.room(DEVICE, length, &LIMITS);
            assert_eq!(room.is_ok(), accepted, "{count} {bytes} {length}");
        }
        let full = Mailbox::new(Sequence(9), 3, 3).room(DEVICE, 1, &LIMITS);
        assert_eq!(
            full.unwrap_err().to_string(),
            "the mailbox of device 01010101-0101-0101-0101-010101010101 holds 3 pushes, at most 3 may wait; send again when the device has taken some"
        );
    }

    #[test]
    fn a_place_is_given_once() {
        let mut mailbox = Mailbox::default();
        let first = mailbox.reserve(DEVICE, 10, &LIMITS).unwrap();
        assert_eq!(first.sequence, Sequence(1));
        mailbox.release(10);
        assert_eq!((mailbox.count(), mailbox.bytes()), (0, 0));
        let second = mailbox.reserve(DEVICE, 10, &LIMITS).unwrap();
        assert_eq!(second.sequence, Sequence(2));
    }

    #[test]
    fn a_selector_is_accepted_for_all_or_for_none() {
        let id = |n: u8| DeviceId::from_bytes([n; 16]);
        let mut free = Mailbox::default();
        let mut full = Mailbox::new(Sequence(4), 3, 3);
        let both = [(id(1), &mut free), (id(2), &mut full)];
        let refused = reserve_all(both, 1, &LIMITS).unwrap_err();
        assert!(matches!(refused, Full::Count { device, .. } if device == id(2)));
        assert_eq!(free, Mailbox::default());
        full.release(1);
        let both = [(id(1), &mut free), (id(2), &mut full)];
        let slots = reserve_all(both, 1, &LIMITS).unwrap();
        let places: Vec<_> = slots.iter().map(|slot| slot.sequence.0).collect();
        assert_eq!(places, [1, 4]);
        assert_eq!(reserve_all(std::iter::empty(), 1, &LIMITS).unwrap(), []);
    }

    proptest! {
        #[test]
        fn a_mailbox_never_passes_its_bounds(
            steps in proptest::collection::vec((any::<bool>(), 1_u64..120), 0..200),
        ) {
            let mut mailbox = Mailbox::default();
            let mut there = Vec::new();
            let mut last = 0;
            for (add, length) in steps {
                if add {
                    if let Ok(slot) = mailbox.reserve(DEVICE, length, &LIMITS) {
                        prop_assert!(slot.sequence.0 > last);
                        last = slot.sequence.0;
                        there.push(length);
                    }
                } else if let Some(length) = there.pop() {
                    mailbox.release(length);
                }
                prop_assert_eq!(mailbox.count() as usize, there.len());
                prop_assert_eq!(mailbox.bytes(), there.iter().sum::<u64>());
                prop_assert!(mailbox.count() <= LIMITS.mailbox_count);
                prop_assert!(mailbox.bytes() <= LIMITS.mailbox_bytes);
            }
        }
    }
}
