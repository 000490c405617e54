//! The product's rows, the same for each engine: a push with its body, its target, the mailbox row, the sender's key, the
//! mailbox's head, the due time, receipts.

/// Bytes of a body.
pub(crate) const PAYLOAD: usize = 256;
/// The app of all pushes.
pub(crate) const APP: &str = "photos";
/// Who sends them.
pub(crate) const SENDER: &str = "ci";
const NOON: u64 = 1_763_726_400_000;
const LIFE: u64 = 3 * 24 * 3_600_000;

/// A push for one device.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) id: [u8; 16],
    pub(crate) device: [u8; 16],
    pub(crate) sequence: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) key: String,
    pub(crate) accepted: u64,
    pub(crate) expires: u64,
}

/// A mailbox's head after the batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head {
    pub(crate) next: u64,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// What one commit writes.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) pushes: Vec<Push>,
    pub(crate) heads: Vec<([u8; 16], Head)>,
}

/// A receipt's hop, as stages are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop {
    Delivered = 1,
    Started = 2,
    Finished = 3,
}

impl Hop {
    pub(crate) const ALL: [Self; 3] = [Self::Delivered, Self::Started, Self::Finished];
}

/// Makes pushes, and keeps the heads as the store's writer does.
#[derive(Debug)]
pub(crate) struct Load {
    heads: Vec<Head>,
    made: u64,
}

impl Load {
    pub(crate) fn new(devices: usize) -> Self {
        let head = Head {
            next: 1,
            ..Head::default()
        };
        Self {
            heads: vec![head; devices],
            made: 0,
        }
    }

    /// The id of a device: spread, as random ids are.
    pub(crate) fn device(place: usize) -> [u8; 16] {
        let mixed = (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&mixed.to_be_bytes());
        id[8..].copy_from_slice(&(place as u64).to_be_bytes());
        id
    }

    /// Rows that wait in all mailboxes.
    pub(crate) fn waiting(&self) -> usize {
        let sum: u64 = self.heads.iter().map(|head| head.count).sum();
        usize::try_from(sum).unwrap_or(usize::MAX)
    }

    /// So many pushes, each to the next device in a mixed order.
    pub(crate) fn batch(&mut self, size: usize) -> Batch {
        let mut batch = Batch {
            pushes: Vec::with_capacity(size),
            heads: Vec::new(),
        };
        for _ in 0..size {
            self.made += 1;
            let made = self.made;
            let place = usize::try_from(made.wrapping_mul(7_919)).unwrap_or(0) % self.heads.len();
            let device = Self::device(place);
            let head = &mut self.heads[place];
            let accepted = NOON + made / 10;
            let mut id = [0_u8; 16];
            id[..8].copy_from_slice(&(accepted << 16).to_be_bytes());
            id[8..].copy_from_slice(&made.to_be_bytes());
            let push = Push {
                id,
                device,
                sequence: head.next,
                body: made.to_be_bytes().repeat(PAYLOAD / 8),
                key: format!("order-{:016x}", made.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                accepted,
                expires: accepted + LIFE,
            };
            head.next += 1;
            head.count += 1;
            head.bytes += PAYLOAD as u64;
            batch.pushes.push(push);
            set(&mut batch.heads, device, *head);
        }
        batch
    }

    /// The heads after this hop of these pushes: the rows leave when they are delivered.
    pub(crate) fn settle(&mut self, batch: &mut Batch, hop: Hop) {
        batch.heads.clear();
        if hop != Hop::Delivered {
            return;
        }
        for push in &batch.pushes {
            let mut place = [0; 8];
            place.copy_from_slice(&push.device[8..]);
            let place = usize::try_from(u64::from_be_bytes(place)).unwrap_or(0);
            let head = &mut self.heads[place];
            head.count -= 1;
            head.bytes -= PAYLOAD as u64;
            set(&mut batch.heads, push.device, *head);
        }
    }
}

fn set(heads: &mut Vec<([u8; 16], Head)>, device: [u8; 16], head: Head) {
    match heads.iter_mut().find(|(id, _)| *id == device) {
        Some((_, old)) => *old = head,
        None => heads.push((device, head)),
    }
}

/// Keys and values for the engines that have no columns. Big-endian keys, so that ranges are in order.
pub(crate) mod flat {
    use super::{APP, Head, Hop, Push, SENDER};

    pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    pub(crate) fn push_value(push: &Push, closed: bool) -> Vec<u8> {
        let (open, at) = if closed {
            (0_u32, push.expires)
        } else {
            (1, 0)
        };
        join(&[
            &push.accepted.to_be_bytes(),
            &push.expires.to_be_bytes(),
            &1_u32.to_be_bytes(),
            &open.to_be_bytes(),
            &at.to_be_bytes(),
            &[2],
            SENDER.as_bytes(),
            &[6],
            APP.as_bytes(),
            push.key.as_bytes(),
        ])
    }

    pub(crate) fn due_key(due: u64, push: &Push) -> Vec<u8> {
        join(&[&due.to_be_bytes(), &push.id])
    }

    pub(crate) fn target_key(push: &Push) -> Vec<u8> {
        join(&[&push.id, &push.device])
    }

    pub(crate) fn target_value(push: &Push, stage: u8) -> Vec<u8> {
        join(&[
            &push.sequence.to_be_bytes(),
            &[stage],
            &7_u64.to_be_bytes(),
            &1_u32.to_be_bytes(),
            &1_u32.to_be_bytes(),
        ])
    }

    pub(crate) fn mail_key(push: &Push) -> Vec<u8> {
        join(&[&push.device, &push.sequence.to_be_bytes()])
    }

    pub(crate) fn mail_value(push: &Push) -> Vec<u8> {
        join(&[
            &push.id,
            &(push.body.len() as u64).to_be_bytes(),
            &push.expires.to_be_bytes(),
            &[0],
            APP.as_bytes(),
        ])
    }

    pub(crate) fn key_key(push: &Push) -> Vec<u8> {
        join(&[
            SENDER.as_bytes(),
            &[0],
            APP.as_bytes(),
            &[0],
            push.key.as_bytes(),
        ])
    }

    pub(crate) fn key_value(push: &Push) -> Vec<u8> {
        join(&[&push.id, &(push.accepted + 86_400_000).to_be_bytes()])
    }

    pub(crate) fn head_value(head: &Head) -> Vec<u8> {
        join(&[
            &head.next.to_be_bytes(),
            &head.count.to_be_bytes(),
            &head.bytes.to_be_bytes(),
            b"0123456789abcdef",
            &0_u64.to_be_bytes(),
        ])
    }

    pub(crate) fn receipt_key(push: &Push, ordinal: u64) -> Vec<u8> {
        join(&[&push.id, &ordinal.to_be_bytes()])
    }

    pub(crate) fn receipt_value(push: &Push, hop: Hop) -> Vec<u8> {
        join(&[
            &push.device,
            &[hop as u8],
            &push.accepted.to_be_bytes(),
            &7_u64.to_be_bytes(),
            &1_u32.to_be_bytes(),
            b"completed",
        ])
    }

    /// The number after the last one of `receipt_key`.
    pub(crate) fn next_ordinal(last: Option<&[u8]>) -> u64 {
        let number = last.and_then(|key| key.get(16..24)).map(|bytes| {
            let mut number = [0; 8];
            number.copy_from_slice(bytes);
            u64::from_be_bytes(number)
        });
        number.unwrap_or(0) + 1
    }
}
