//! What every store must do, as tests over a factory: [`suite`] makes one test of each promise.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use lull_fleet_policy::enrollment::{Bound, Token};
use lull_fleet_policy::{
    AppId, ClientName, DeduplicationKey, DeviceId, Hop, KeyFingerprint, Labels, PushId, Receipt,
    Sequence, ShardId, Slot, Span, Stage, Wall, Word, bounds, life,
};

use super::*;

/// Where stores are made. The same name opened again, after the first was dropped, is the same store.
pub(super) trait Place {
    fn open(&self, name: &str) -> Arc<dyn Store>;
}

/// Makes a test of each promise for a place.
macro_rules! suite {
    ($place:expr) => {
        crate::store::contract::suite! { $place =>
            a_push_is_there_after_it_was_accepted
            a_body_is_stored_once_for_all_its_devices
            one_full_conflict_withholds_the_whole_list
            two_writers_on_one_mailbox_cannot_both_have_a_place
            a_deposed_writer_changes_nothing
            a_repeated_change_changes_nothing
            a_senders_key_stands_for_its_push_until_its_window_ends
            rows_leave_when_the_device_has_them
            an_offered_row_is_never_expired_here
            receipts_count_once_and_in_order
            receipts_start_anew_with_another_store_on_the_device
            a_receipt_of_another_device_is_passed_over
            receipts_are_paged_without_gap_or_double
            devices_are_paged_by_id
            a_token_is_redeemed_by_one
            clients_and_certificates_are_found
            an_ended_push_is_removed_in_bounded_steps
            a_silent_device_is_given_up
            a_push_for_nobody_is_closed_at_once
            what_was_committed_is_there_after_a_reopening
            what_is_unknown_is_none
            a_device_tells_what_is_installed
        }
    };
    ($place:expr => $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                crate::store::contract::run(crate::store::contract::$name(&$place));
            }
        )*
    };
}
pub(super) use suite;

pub(super) fn run<T>(value: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(value)
}

const NOON: Wall = Wall::from_millis(1_763_726_400_000);
const LIFE: Span = Span::hours(1);

/// A store with devices and one shard, and what a shard would keep.
struct Fleet {
    store: Arc<dyn Store>,
    fence: Fence,
}

fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([n; 16])
}

fn push_id(n: u16) -> PushId {
    let mut bytes = [7; 16];
    let [high, low] = n.to_be_bytes();
    bytes[14] = high;
    bytes[15] = low;
    PushId::from_bytes(bytes)
}

fn word(text: &str) -> Word {
    Word::new(text).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::of_device(
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    )
    .unwrap()
}

impl Fleet {
    async fn new(place: &impl Place, name: &str, devices: u8) -> Self {
        let store = place.open(name);
        let shard = ShardId(0);
        let epoch = store.claim_shard(shard).await.unwrap();
        let fleet = Self {
            store,
            fence: Fence { shard, epoch },
        };
        for n in 1..=devices {
            fleet.enrol(n).await;
            fleet.begin(n, "store-1").await;
        }
        fleet
    }

    async fn enrol(&self, n: u8) {
        let hash = TokenHash([n; 32]);
        let token = TokenRecord {
            token: Token {
                expires: NOON.after(bounds::TOKEN_LIFE),
                bound: None,
            },
            labels: labels(&[("site", "north")]),
        };
        let key = KeyFingerprint([n; 32]);
        let bound = Bound {
            key,
            device: device(n),
            recoveries: 0,
        };
        let changes = vec![
            Change::AddToken {
                hash,
                token: token.clone(),
            },
            Change::Redeem {
                hash,
                before: token.token,
                after: Token {
                    bound: Some(bound),
                    ..token.token
                },
                device: Some(Box::new(NewDevice {
                    id: device(n),
                    name: format!("device {n}"),
                    key,
                    operator_labels: token.labels,
                    own_labels: labels(&[("site", "own"), ("os", "linux")]),
                    enrolled: NOON,
                })),
                certificate: NewCertificate {
                    serial: vec![n; 20],
                    holder: Holder::Device(device(n)),
                    expires: NOON.after(Span::days(1)),
                },
            },
        ];
        let outcomes = self.store.commit(changes).await.unwrap();
        assert_eq!(outcomes, [applied(), applied()]);
    }

    async fn one(&self, change: Change) -> Outcome {
        let mut outcomes = self.store.commit(vec![change]).await.unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    async fn did(&self, change: Change) -> Applied {
        match self.one(change).await {
            Outcome::Applied(applied) => applied,
            other => panic!("{other:?}"),
        }
    }

    async fn begin(&self, n: u8, store: &str) -> Applied {
        self.did(Change::BeginSession {
            fence: self.fence,
            device: device(n),
            store: store.to_owned(),
            version: "0.1.0".to_owned(),
            at: NOON,
        })
        .await
    }

    fn push(&self, id: u16, slots: &[(u8, u64)]) -> NewPush {
        NewPush {
            id: push_id(id),
            app: AppId::new("photos").unwrap(),
            sender: ClientName::new("ci").unwrap(),
            payload: Bytes::from(format!("body {id}")),
            accepted: NOON,
            expires: NOON.after(LIFE),
            deduplicate: None,
            slots: slots
                .iter()
                .map(|(n, sequence)| NewSlot {
                    slot: Slot {
                        device: device(*n),
                        sequence: Sequence(*sequence),
                        bytes: 6,
                    },
                    offered: false,
                })
                .collect(),
            fences: vec![self.fence],
        }
    }

    async fn accept(&self, id: u16, slots: &[(u8, u64)]) -> Outcome {
        self.one(Change::AcceptPush(Box::new(self.push(id, slots))))
            .await
    }

    async fn offer(&self, n: u8, rows: &[u64]) -> Applied {
        self.did(Change::Offer {
            fence: self.fence,
            device: device(n),
            rows: rows.iter().copied().map(Sequence).collect(),
        })
        .await
    }

    fn deliver(&self, n: u8, rows: &[u64]) -> Change {
        Change::Deliver {
            fence: self.fence,
            device: device(n),
            rows: rows.iter().copied().map(Sequence).collect(),
        }
    }

    fn receipts(&self, n: u8, store: &str, told: &[(u64, u16, Hop)]) -> Change {
        Change::Record {
            fence: self.fence,
            device: device(n),
            store: store.to_owned(),
            receipts: told
                .iter()
                .map(|(sequence, push, hop)| DeviceReceipt {
                    sequence: *sequence,
                    push: push_id(*push),
                    receipt: Receipt {
                        hop: hop.clone(),
                        at: NOON,
                    },
                })
                .collect(),
            at: NOON,
        }
    }

    async fn mail(&self, n: u8) -> Vec<u64> {
        let rows = self.store.mail(device(n), Sequence(0), PAGE).await.unwrap();
        rows.iter().map(|row| row.sequence.0).collect()
    }

    async fn summary(&self, n: u8) -> (u64, u32, u64) {
        let all = self.store.mailboxes(vec![device(n)]).await.unwrap();
        let mailbox = all[0].unwrap();
        (mailbox.next().0, mailbox.count(), mailbox.bytes())
    }

    async fn hops(&self, id: u16) -> Vec<(u8, Hop)> {
        let page = self
            .store
            .receipts(push_id(id), ReceiptCursor::START, PAGE)
            .await
            .unwrap();
        assert!(!page.more);
        page.receipts
            .into_iter()
            .map(|(device, receipt)| (device.as_bytes()[0], receipt.hop))
            .collect()
    }
}

fn applied() -> Outcome {
    Outcome::Applied(Applied::default())
}

fn started(run: u64) -> Hop {
    Hop::Started { run, attempt: 1 }
}

fn finished(run: u64) -> Hop {
    Hop::Finished {
        run,
        attempt: 1,
        outcome: word("completed"),
    }
}

pub(super) async fn a_push_is_there_after_it_was_accepted(place: &impl Place) {
    let fleet = Fleet::new(place, "accepted", 1).await;
    assert_eq!(fleet.summary(1).await, (1, 0, 0));
    assert_eq!(fleet.accept(1, &[(1, 1)]).await, applied());
    assert_eq!(fleet.summary(1).await, (2, 1, 6));
    let record = fleet.store.push(push_id(1)).await.unwrap().unwrap();
    let pushed = fleet.push(1, &[(1, 1)]);
    assert_eq!(
        record,
        PushRecord {
            id: pushed.id,
            app: pushed.app.clone(),
            sender: pushed.sender,
            accepted: NOON,
            expires: pushed.expires,
            devices: 1,
            open: 1,
        }
    );
    let mail = fleet.store.mail(device(1), Sequence(0), 10).await.unwrap();
    let row = Waiting {
        sequence: Sequence(1),
        push: push_id(1),
        app: pushed.app,
        expires: pushed.expires,
        offered: false,
    };
    assert_eq!(mail, [row]);
    let after = fleet.store.mail(device(1), Sequence(1), 10).await.unwrap();
    assert_eq!(after, []);
    assert_eq!(fleet.hops(1).await, [(1, Hop::Accepted)]);
    let waiting = fleet
        .store
        .device(device(1))
        .await
        .unwrap()
        .unwrap()
        .waiting;
    assert_eq!(waiting, 1);
}

pub(super) async fn a_body_is_stored_once_for_all_its_devices(place: &impl Place) {
    let fleet = Fleet::new(place, "body", 3).await;
    assert_eq!(fleet.accept(1, &[(1, 1), (2, 1), (3, 1)]).await, applied());
    let bodies = fleet
        .store
        .payloads(vec![push_id(1), push_id(2), push_id(1)])
        .await
        .unwrap();
    let body = Some(Bytes::from_static(b"body 1"));
    assert_eq!(bodies, [body.clone(), None, body]);
    let first = fleet.store.targets(push_id(1), None, 2).await.unwrap();
    assert!(first.more);
    let rest = fleet
        .store
        .targets(push_id(1), Some(device(2)), 2)
        .await
        .unwrap();
    assert!(!rest.more);
    assert_eq!(
        rest.targets,
        [TargetRecord {
            device: device(3),
            stage: Stage::Accepted
        }]
    );
}

pub(super) async fn one_full_conflict_withholds_the_whole_list(place: &impl Place) {
    let fleet = Fleet::new(place, "list", 2).await;
    assert_eq!(fleet.accept(1, &[(1, 1)]).await, applied());
    let list = vec![
        Change::AcceptPush(Box::new(fleet.push(2, &[(1, 2), (2, 1)]))),
        Change::AcceptPush(Box::new(fleet.push(3, &[(1, 1)]))),
        Change::AcceptPush(Box::new(fleet.push(4, &[(2, 2)]))),
    ];
    let conflict = Outcome::Conflict(Conflict::Mailbox {
        device: device(1),
        next: Sequence(3),
    });
    assert_eq!(
        fleet.store.commit(list).await.unwrap(),
        [Outcome::Withheld, conflict, Outcome::Withheld]
    );
    assert_eq!(fleet.store.push(push_id(2)).await.unwrap(), None);
    assert_eq!(fleet.summary(1).await, (2, 1, 6));
    assert_eq!(fleet.summary(2).await, (1, 0, 0));
    assert_eq!(fleet.accept(2, &[(1, 2), (2, 1)]).await, applied());
    // A push for an unknown device is for none.
    let unknown = fleet.accept(5, &[(1, 3), (9, 1)]).await;
    assert_eq!(
        unknown,
        Outcome::Conflict(Conflict::UnknownDevice { device: device(9) })
    );
    assert_eq!(fleet.summary(1).await, (3, 2, 12));
}

pub(super) async fn two_writers_on_one_mailbox_cannot_both_have_a_place(place: &impl Place) {
    let fleet = Fleet::new(place, "writers", 1).await;
    // Both decide on the same summary; both are handed over before either is answered.
    let first = fleet
        .store
        .commit(vec![Change::AcceptPush(Box::new(fleet.push(1, &[(1, 1)])))]);
    let second = fleet
        .store
        .commit(vec![Change::AcceptPush(Box::new(fleet.push(2, &[(1, 1)])))]);
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    let conflict = Outcome::Conflict(Conflict::Mailbox {
        device: device(1),
        next: Sequence(2),
    });
    assert_eq!((first, second), (vec![applied()], vec![conflict]));
    assert_eq!(fleet.summary(1).await, (2, 1, 6));
    // Decided again, and a place that was given up in between is no harm.
    assert_eq!(fleet.accept(2, &[(1, 3)]).await, applied());
    assert_eq!(fleet.summary(1).await, (4, 2, 12));
}

pub(super) async fn a_deposed_writer_changes_nothing(place: &impl Place) {
    let fleet = Fleet::new(place, "deposed", 1).await;
    assert_eq!(fleet.accept(1, &[(1, 1)]).await, applied());
    let epoch = fleet.store.claim_shard(fleet.fence.shard).await.unwrap();
    assert!(epoch > fleet.fence.epoch);
    let deposed = Outcome::Conflict(Conflict::Deposed {
        shard: fleet.fence.shard,
        epoch,
    });
    let rows = vec![Sequence(1)];
    let changes = vec![
        Change::AcceptPush(Box::new(fleet.push(2, &[(1, 2)]))),
        Change::Offer {
            fence: fleet.fence,
            device: device(1),
            rows: rows.clone(),
        },
        fleet.deliver(1, &[1]),
        Change::Expire {
            fence: fleet.fence,
            device: device(1),
            rows,
            at: NOON.after(LIFE),
        },
        fleet.receipts(1, "store-1", &[(1, 1, Hop::Delivered)]),
        Change::Seen {
            fence: fleet.fence,
            device: device(1),
            at: NOON.after(LIFE),
        },
        Change::SetInventory {
            fence: fleet.fence,
            device: device(1),
            apps: Vec::new(),
            labels: Labels::default(),
        },
        Change::BeginSession {
            fence: fleet.fence,
            device: device(1),
            store: "store-2".to_owned(),
            version: String::new(),
            at: NOON,
        },
    ];
    let before = fleet.store.device(device(1)).await.unwrap();
    for change in changes {
        assert_eq!(fleet.one(change.clone()).await, deposed, "{change:?}");
    }
    assert_eq!(fleet.store.device(device(1)).await.unwrap(), before);
    assert_eq!(fleet.hops(1).await, [(1, Hop::Accepted)]);
    assert_eq!(fleet.mail(1).await, [1]);
    // A shard that nobody claimed is nobody's.
    let mut push = fleet.push(3, &[(1, 2)]);
    push.fences = vec![Fence {
        shard: ShardId(9),
        epoch: Epoch(1),
    }];
    let nobody = Outcome::Conflict(Conflict::Deposed {
        shard: ShardId(9),
        epoch: Epoch(0),
    });
    assert_eq!(fleet.one(Change::AcceptPush(Box::new(push))).await, nobody);
}

pub(super) async fn a_repeated_change_changes_nothing(place: &impl Place) {
    let fleet = Fleet::new(place, "repeat", 1).await;
    let accept = Change::AcceptPush(Box::new(fleet.push(1, &[(1, 1)])));
    let told = fleet.receipts(1, "store-1", &[(1, 1, Hop::Delivered), (2, 1, started(4))]);
    assert_eq!(fleet.one(accept.clone()).await, applied());
    assert_eq!(fleet.one(accept.clone()).await, applied());
    assert_eq!(fleet.summary(1).await, (2, 1, 6));
    // The same push with a place reserved anew is the same push.
    assert_eq!(fleet.accept(1, &[(1, 2)]).await, applied());
    assert_eq!(fleet.summary(1).await, (2, 1, 6));
    let gone = fleet.did(fleet.deliver(1, &[1])).await.gone;
    assert_eq!(gone.len(), 1);
    assert_eq!(fleet.did(fleet.deliver(1, &[1])).await.gone, []);
    assert_eq!(fleet.summary(1).await, (2, 0, 0));
    assert_eq!(fleet.did(told.clone()).await.recorded.len(), 2);
    let again = fleet.did(told).await;
    assert_eq!((again.recorded.len(), again.receipts_through), (0, 2));
    // Also in one list with something new.
    let list = vec![
        accept,
        Change::AcceptPush(Box::new(fleet.push(2, &[(1, 2)]))),
    ];
    assert_eq!(
        fleet.store.commit(list).await.unwrap(),
        [applied(), applied()]
    );
    assert_eq!(fleet.summary(1).await, (3, 1, 6));
    // Enrolment: the whole list again.
    fleet.enrol(1).await;
}

pub(super) async fn a_senders_key_stands_for_its_push_until_its_window_ends(place: &impl Place) {
    let fleet = Fleet::new(place, "key", 1).await;
    let key = DeduplicationKey::parse("order-7".to_owned())
        .unwrap()
        .unwrap();
    let with_key = |id: u16, sequence: u64, accepted: Wall| {
        let mut push = fleet.push(id, &[(1, sequence)]);
        push.accepted = accepted;
        push.deduplicate = Some(Deduplicate {
            key: key.clone(),
            until: accepted.after(bounds::DEDUPLICATION_WINDOW),
        });
        push
    };
    let end = NOON.after(bounds::DEDUPLICATION_WINDOW);
    let last = Wall::from_millis(end.as_millis() - 1);
    let accept = |push: NewPush| fleet.one(Change::AcceptPush(Box::new(push)));
    assert_eq!(accept(with_key(1, 1, NOON)).await, applied());
    let earlier = Earlier {
        push: push_id(1),
        accepted: NOON,
        devices: 1,
    };
    assert_eq!(
        accept(with_key(2, 2, last)).await,
        Outcome::Duplicate(earlier)
    );
    let asked = |sender: &str, now: Wall| {
        let app = AppId::new("photos").unwrap();
        let sender = ClientName::new(sender).unwrap();
        fleet.store.earlier(sender, app, key.clone(), now)
    };
    assert_eq!(asked("ci", last).await.unwrap(), Some(earlier));
    assert_eq!(asked("ci", end).await.unwrap(), None);
    assert_eq!(asked("other", NOON).await.unwrap(), None);
    // Another sender, another app: other pushes.
    let mut other = with_key(3, 2, NOON);
    other.sender = ClientName::new("other").unwrap();
    assert_eq!(accept(other).await, applied());
    let mut app = with_key(4, 3, NOON);
    app.app = AppId::new("mail").unwrap();
    assert_eq!(accept(app).await, applied());
    // The push itself, repeated, is no duplicate; at the window's end the key is free.
    assert_eq!(accept(with_key(1, 1, NOON)).await, applied());
    assert_eq!(accept(with_key(2, 4, end)).await, applied());
    assert_eq!(fleet.mail(1).await, [1, 2, 3, 4]);
}

pub(super) async fn rows_leave_when_the_device_has_them(place: &impl Place) {
    let fleet = Fleet::new(place, "leave", 1).await;
    for n in 1..=4_u16 {
        assert_eq!(fleet.accept(n, &[(1, n.into())]).await, applied());
    }
    assert_eq!(
        fleet.offer(1, &[1, 2, 9]).await.offered,
        [Sequence(1), Sequence(2)]
    );
    let gone = fleet.did(fleet.deliver(1, &[1, 2])).await.gone;
    let gone: Vec<_> = gone.iter().map(|gone| gone.sequence.0).collect();
    assert_eq!(gone, [1, 2]);
    assert_eq!(fleet.mail(1).await, [3, 4]);
    assert_eq!(fleet.summary(1).await, (5, 2, 12));
    // A receipt tells as much as an acknowledgement.
    let told = fleet.receipts(1, "store-1", &[(1, 3, Hop::Delivered)]);
    let gone = fleet.did(told).await.gone;
    assert_eq!(
        gone,
        [Gone {
            device: device(1),
            sequence: Sequence(3),
            bytes: 6
        }]
    );
    assert_eq!(fleet.mail(1).await, [4]);
}

pub(super) async fn an_offered_row_is_never_expired_here(place: &impl Place) {
    let fleet = Fleet::new(place, "offered", 2).await;
    assert_eq!(fleet.accept(1, &[(1, 1), (2, 1)]).await, applied());
    assert_eq!(fleet.accept(2, &[(1, 2)]).await, applied());
    fleet.offer(1, &[1]).await;
    let at = NOON.after(LIFE);
    let expired = fleet
        .did(Change::Expire {
            fence: fleet.fence,
            device: device(1),
            rows: vec![Sequence(1), Sequence(2), Sequence(3)],
            at,
        })
        .await;
    assert_eq!(expired.gone.len(), 1);
    let recorded: Vec<_> = expired.recorded.iter().map(|r| r.push).collect();
    assert_eq!(recorded, [push_id(2)]);
    let next = at.after(bounds::SILENCE);
    let sweep = Change::ExpirePush {
        push: push_id(1),
        at,
        next,
        limit: 10,
    };
    let swept = fleet.did(sweep.clone()).await;
    assert!(!swept.more);
    assert_eq!(swept.gone.len(), 1);
    assert_eq!(fleet.did(sweep).await, Applied::default());
    assert_eq!(
        fleet.hops(1).await,
        [(1, Hop::Accepted), (2, Hop::Accepted), (2, Hop::Expired)]
    );
    assert_eq!(
        (fleet.mail(1).await, fleet.mail(2).await),
        (vec![1], vec![])
    );
    let due = fleet.store.due(next, 10).await.unwrap();
    let ids: Vec<_> = due.iter().map(|due| due.push).collect();
    assert_eq!(ids, [push_id(2), push_id(1)]);
}

pub(super) async fn receipts_count_once_and_in_order(place: &impl Place) {
    let fleet = Fleet::new(place, "receipts", 1).await;
    assert_eq!(fleet.accept(1, &[(1, 1)]).await, applied());
    let told = [
        (3, 1, started(8)),
        (4, 1, Hop::Delivered),
        (5, 1, finished(8)),
        (6, 1, Hop::Expired),
        (7, 1, started(9)),
    ];
    let applied = fleet.did(fleet.receipts(1, "store-1", &told)).await;
    assert_eq!(applied.receipts_through, 7);
    assert_eq!(applied.recorded.len(), 2);
    assert!(applied.recorded[0].cursor < applied.recorded[1].cursor);
    assert_eq!(
        fleet.hops(1).await,
        [(1, Hop::Accepted), (1, started(8)), (1, finished(8))]
    );
    let record = fleet.store.push(push_id(1)).await.unwrap().unwrap();
    assert_eq!((record.devices, record.open), (1, 0));
    let due = fleet.store.due(life::removal(NOON), 10).await.unwrap();
    assert_eq!(due[0].life.closed, Some(NOON));
}

pub(super) async fn receipts_start_anew_with_another_store_on_the_device(place: &impl Place) {
    let fleet = Fleet::new(place, "incarnation", 1).await;
    assert_eq!(fleet.accept(1, &[(1, 1)]).await, applied());
    fleet
        .did(fleet.receipts(1, "store-1", &[(9, 1, Hop::Delivered)]))
        .await;
    assert_eq!(fleet.begin(1, "store-1").await.receipts_through, 9);
    let stale = fleet
        .one(fleet.receipts(1, "store-2", &[(1, 1, started(1))]))
        .await;
    let changed = Conflict::StoreChanged { device: device(1) };
    assert_eq!(stale, Outcome::Conflict(changed));
    assert_eq!(fleet.begin(1, "store-2").await.receipts_through, 0);
    let told = fleet
        .did(fleet.receipts(1, "store-2", &[(1, 1, started(1))]))
        .await;
    assert_eq!((told.receipts_through, told.recorded.len()), (1, 1));
}

pub(super) async fn a_receipt_of_another_device_is_passed_over(place: &impl Place) {
    let fleet = Fleet::new(place, "other", 2).await;
    assert_eq!(fleet.accept(1, &[(1, 1)]).await, applied());
    let told = [(1, 1, finished(1)), (2, 77, finished(1))];
    let applied = fleet.did(fleet.receipts(2, "store-1", &told)).await;
    assert_eq!((applied.recorded.len(), applied.receipts_through), (0, 2));
    assert_eq!(fleet.hops(1).await, [(1, Hop::Accepted)]);
    assert_eq!(fleet.mail(1).await, [1]);
}

pub(super) async fn receipts_are_paged_without_gap_or_double(place: &impl Place) {
    let fleet = Fleet::new(place, "pages", 5).await;
    let slots: Vec<_> = (1..=5).map(|n| (n, 1)).collect();
    assert_eq!(fleet.accept(1, &slots).await, applied());
    for n in 1..=5 {
        let told = [
            (1, 1, Hop::Delivered),
            (2, 1, started(1)),
            (3, 1, finished(1)),
        ];
        fleet.did(fleet.receipts(n, "store-1", &told)).await;
    }
    let whole = fleet
        .store
        .receipts(push_id(1), ReceiptCursor::START, PAGE)
        .await
        .unwrap();
    assert_eq!(whole.receipts.len(), 20);
    for limit in [1, 2, 3, 5, 7, 19, 20] {
        let mut cursor = ReceiptCursor::START;
        let mut all = Vec::new();
        loop {
            let page = fleet
                .store
                .receipts(push_id(1), cursor, limit)
                .await
                .unwrap();
            assert!(page.next > cursor && page.receipts.len() <= limit as usize);
            cursor = page.next;
            all.extend(page.receipts);
            if !page.more {
                break;
            }
        }
        assert_eq!(all, whole.receipts, "limit {limit}");
    }
    // The cursor of a live receipt continues the stored ones.
    let end = fleet
        .store
        .receipts(push_id(1), whole.next, 10)
        .await
        .unwrap();
    assert_eq!(
        (end.receipts, end.more, end.next),
        (vec![], false, whole.next)
    );
}

pub(super) async fn devices_are_paged_by_id(place: &impl Place) {
    let fleet = Fleet::new(place, "devices", 5).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = fleet.store.devices(cursor.take(), 2).await.unwrap();
        seen.extend(page.devices.iter().map(|device| device.id));
        let Some(next) = page.next else { break };
        cursor = Some(DeviceCursor::decode(&next.encode()).unwrap());
    }
    let expected: Vec<_> = (1..=5).map(device).collect();
    assert_eq!(seen, expected);
    assert!(DeviceCursor::decode("7").is_err());
    let record = fleet.store.device(device(2)).await.unwrap().unwrap();
    assert_eq!(
        record.labels(),
        labels(&[("os", "linux"), ("site", "north")])
    );
}

pub(super) async fn a_token_is_redeemed_by_one(place: &impl Place) {
    let fleet = Fleet::new(place, "token", 0).await;
    let hash = TokenHash([1; 32]);
    let open = Token {
        expires: NOON.after(bounds::TOKEN_LIFE),
        bound: None,
    };
    let record = TokenRecord {
        token: open,
        labels: labels(&[("site", "north")]),
    };
    fleet
        .did(Change::AddToken {
            hash,
            token: record.clone(),
        })
        .await;
    assert_eq!(fleet.store.token(hash).await.unwrap(), Some(record));
    let redeem = |n: u8, before: Token, recoveries: u32, new: bool| Change::Redeem {
        hash,
        before,
        after: bound_to(open, n, recoveries),
        device: new.then(|| {
            Box::new(NewDevice {
                id: device(n),
                name: String::new(),
                key: KeyFingerprint([n; 32]),
                operator_labels: Labels::default(),
                own_labels: Labels::default(),
                enrolled: NOON,
            })
        }),
        certificate: NewCertificate {
            serial: vec![n, u8::try_from(recoveries).unwrap()],
            holder: Holder::Device(device(n)),
            expires: NOON.after(Span::days(1)),
        },
    };
    // Two at the same moment: one wins, the other stores nothing.
    let first = fleet.store.commit(vec![redeem(1, open, 0, true)]);
    let second = fleet.store.commit(vec![redeem(2, open, 0, true)]);
    assert_eq!(first.await.unwrap(), [applied()]);
    assert_eq!(second.await.unwrap(), [Outcome::Conflict(Conflict::Token)]);
    assert_eq!(fleet.store.device(device(2)).await.unwrap(), None);
    assert_eq!(fleet.store.certificate(vec![2, 0]).await.unwrap(), None);
    // The first one again is a repeat; a recovery goes on from what is stored.
    assert_eq!(fleet.one(redeem(1, open, 0, true)).await, applied());
    let bound = bound_to(open, 1, 0);
    assert_eq!(fleet.one(redeem(1, bound, 1, false)).await, applied());
    let stored = fleet.store.token(hash).await.unwrap().unwrap();
    assert_eq!(stored.token, bound_to(open, 1, 1));
    // Tokens and certificates that ended are removed.
    let removed = fleet
        .did(Change::RemoveExpired {
            before: NOON.after(Span::days(2)),
            limit: 1,
        })
        .await;
    assert!(removed.more);
    assert_eq!(fleet.store.token(hash).await.unwrap(), None);
}

fn bound_to(token: Token, n: u8, recoveries: u32) -> Token {
    let bound = Bound {
        key: KeyFingerprint([n; 32]),
        device: device(n),
        recoveries,
    };
    Token {
        bound: Some(bound),
        ..token
    }
}

pub(super) async fn clients_and_certificates_are_found(place: &impl Place) {
    let fleet = Fleet::new(place, "clients", 1).await;
    let name = ClientName::new("ci").unwrap();
    let publisher = |apps: &[&str]| ClientRecord {
        name: name.clone(),
        role: ClientRole::Publisher(
            apps.iter()
                .map(|app| AppId::new(*app).unwrap())
                .collect::<BTreeSet<_>>(),
        ),
    };
    fleet.did(Change::PutClient(publisher(&["photos"]))).await;
    fleet
        .did(Change::PutClient(publisher(&["photos", "mail"])))
        .await;
    let found = fleet.store.client(name.clone()).await.unwrap();
    assert_eq!(found, Some(publisher(&["photos", "mail"])));
    let operator = ClientRecord {
        name: name.clone(),
        role: ClientRole::Operator,
    };
    assert_eq!(
        fleet.one(Change::PutClient(operator)).await,
        Outcome::Conflict(Conflict::Client { name: name.clone() })
    );
    let certificate = NewCertificate {
        serial: vec![5; 20],
        holder: Holder::Client(name),
        expires: NOON.after(Span::days(90)),
    };
    fleet.did(Change::AddCertificate(certificate.clone())).await;
    let found = fleet.store.certificate(vec![5; 20]).await.unwrap().unwrap();
    assert_eq!(found.holder, certificate.holder);
    let of_device = fleet.store.certificate(vec![1; 20]).await.unwrap().unwrap();
    assert_eq!(of_device.holder, Holder::Device(device(1)));
}

pub(super) async fn an_ended_push_is_removed_in_bounded_steps(place: &impl Place) {
    let fleet = Fleet::new(place, "removal", 3).await;
    let mut push = fleet.push(1, &[(1, 1), (2, 1), (3, 1)]);
    let key = DeduplicationKey::parse("k".to_owned()).unwrap().unwrap();
    push.deduplicate = Some(Deduplicate {
        key: key.clone(),
        until: NOON.after(Span::days(60)),
    });
    let (sender, app) = (push.sender.clone(), push.app.clone());
    fleet.did(Change::AcceptPush(Box::new(push))).await;
    let remove = Change::RemovePush {
        push: push_id(1),
        limit: 2,
    };
    // Open: it stays.
    assert_eq!(fleet.did(remove.clone()).await, Applied::default());
    for n in 1..=3 {
        fleet
            .did(fleet.receipts(n, "store-1", &[(1, 1, finished(1))]))
            .await;
    }
    let due = fleet.store.due(life::removal(NOON), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].life.due(life::removal(NOON)), life::Due::Remove);
    let mut steps = 0;
    while fleet.did(remove.clone()).await.more {
        steps += 1;
        assert!(steps < 10);
    }
    assert!(steps >= 2);
    assert_eq!(fleet.store.push(push_id(1)).await.unwrap(), None);
    assert_eq!(fleet.hops(1).await, []);
    assert_eq!(
        fleet.store.payloads(vec![push_id(1)]).await.unwrap(),
        [None]
    );
    let earlier = fleet.store.earlier(sender, app, key, NOON).await.unwrap();
    assert_eq!(earlier, None);
    let due = fleet.store.due(life::removal(NOON), 10).await.unwrap();
    assert_eq!(due, []);
}

pub(super) async fn a_silent_device_is_given_up(place: &impl Place) {
    let fleet = Fleet::new(place, "silent", 2).await;
    assert_eq!(fleet.accept(1, &[(1, 1), (2, 1)]).await, applied());
    fleet.offer(1, &[1]).await;
    fleet.did(fleet.deliver(1, &[1])).await;
    fleet.offer(2, &[1]).await;
    let at = NOON.after(LIFE).after(bounds::SILENCE);
    let due = fleet.store.due(at, 10).await.unwrap();
    assert_eq!(due[0].life.due(at), life::Due::GiveUp);
    let hop = life::given_up().unwrap();
    let close = |limit| Change::ClosePush {
        push: push_id(1),
        hop: hop.clone(),
        at,
        limit,
    };
    let step = fleet.did(close(1)).await;
    assert!(step.more);
    assert_eq!(step.gone, []);
    let step = fleet.did(close(2)).await;
    assert!(!step.more);
    assert_eq!(step.gone.len(), 1);
    assert_eq!(
        fleet.hops(1).await,
        [
            (1, Hop::Accepted),
            (2, Hop::Accepted),
            (1, hop.clone()),
            (2, hop)
        ]
    );
    // Late receipts change nothing.
    let late = fleet
        .did(fleet.receipts(1, "store-1", &[(1, 1, finished(1))]))
        .await;
    assert_eq!((late.recorded.len(), late.receipts_through), (0, 1));
    let later = at.after(Span::days(9));
    fleet
        .did(Change::Postpone {
            push: push_id(1),
            until: later,
        })
        .await;
    assert_eq!(fleet.store.due(life::removal(at), 9).await.unwrap(), []);
}

pub(super) async fn a_push_for_nobody_is_closed_at_once(place: &impl Place) {
    let fleet = Fleet::new(place, "nobody", 0).await;
    assert_eq!(fleet.accept(1, &[]).await, applied());
    let record = fleet.store.push(push_id(1)).await.unwrap().unwrap();
    assert_eq!((record.devices, record.open), (0, 0));
    assert_eq!(fleet.hops(1).await, []);
    let before = Wall::from_millis(life::removal(NOON).as_millis() - 1);
    assert_eq!(fleet.store.due(before, 10).await.unwrap(), []);
    assert_eq!(
        fleet
            .store
            .due(life::removal(NOON), 10)
            .await
            .unwrap()
            .len(),
        1
    );
}

pub(super) async fn what_was_committed_is_there_after_a_reopening(place: &impl Place) {
    let (incarnation, epoch) = {
        let fleet = Fleet::new(place, "reopen", 1).await;
        assert_eq!(fleet.accept(1, &[(1, 1)]).await, applied());
        fleet.offer(1, &[1]).await;
        let told = fleet.receipts(1, "store-1", &[(1, 1, Hop::Delivered)]);
        fleet.did(told).await;
        assert_eq!(fleet.accept(2, &[(1, 2)]).await, applied());
        (fleet.store.incarnation().to_owned(), fleet.fence.epoch)
    };
    let store = place.open("reopen");
    assert_eq!(store.incarnation(), incarnation);
    let shard = ShardId(0);
    let claimed = store.claim_shard(shard).await.unwrap();
    assert_eq!(claimed, Epoch(epoch.0 + 1));
    let fence = Fence {
        shard,
        epoch: claimed,
    };
    let fleet = Fleet { store, fence };
    assert_eq!(fleet.mail(1).await, [2]);
    assert_eq!(fleet.summary(1).await, (3, 1, 6));
    assert_eq!(
        fleet.hops(1).await,
        [(1, Hop::Accepted), (1, Hop::Delivered)]
    );
    assert_eq!(fleet.begin(1, "store-1").await.receipts_through, 1);
    assert_eq!(fleet.accept(3, &[(1, 3)]).await, applied());
}

pub(super) async fn what_is_unknown_is_none(place: &impl Place) {
    let fleet = Fleet::new(place, "unknown", 0).await;
    let store = &fleet.store;
    assert_eq!(store.device(device(1)).await.unwrap(), None);
    assert_eq!(store.mailboxes(vec![device(1)]).await.unwrap(), [None]);
    assert_eq!(store.devices(None, 5).await.unwrap(), DevicePage::default());
    assert_eq!(store.push(push_id(1)).await.unwrap(), None);
    assert_eq!(store.token(TokenHash([0; 32])).await.unwrap(), None);
    let name = ClientName::new("x").unwrap();
    assert_eq!(store.client(name).await.unwrap(), None);
    assert_eq!(store.certificate(Vec::new()).await.unwrap(), None);
    assert_eq!(store.due(NOON, 5).await.unwrap(), []);
    let begin = fleet
        .one(Change::BeginSession {
            fence: fleet.fence,
            device: device(1),
            store: String::new(),
            version: String::new(),
            at: NOON,
        })
        .await;
    let unknown = Conflict::UnknownDevice { device: device(1) };
    assert_eq!(begin, Outcome::Conflict(unknown.clone()));
    let told = fleet.one(fleet.receipts(1, "", &[])).await;
    assert_eq!(told, Outcome::Conflict(unknown));
    assert_eq!(store.commit(Vec::new()).await.unwrap(), []);
}

pub(super) async fn a_device_tells_what_is_installed(place: &impl Place) {
    let fleet = Fleet::new(place, "inventory", 1).await;
    let apps = vec![InstalledApp {
        app: AppId::new("photos").unwrap(),
        version: "1.0".to_owned(),
    }];
    fleet
        .did(Change::SetInventory {
            fence: fleet.fence,
            device: device(1),
            apps: apps.clone(),
            labels: labels(&[("room", "4")]),
        })
        .await;
    let later = NOON.after(Span::minutes(1));
    let seen = |at| Change::Seen {
        fence: fleet.fence,
        device: device(1),
        at,
    };
    fleet.did(seen(later)).await;
    fleet.did(seen(NOON)).await;
    let record = fleet.store.device(device(1)).await.unwrap().unwrap();
    assert_eq!(record.apps, apps);
    assert_eq!(record.own_labels, labels(&[("room", "4")]));
    assert_eq!(record.last_seen, Some(later));
    assert_eq!(record.node_version, "0.1.0");
}
