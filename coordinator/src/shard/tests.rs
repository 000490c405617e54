//! A shard whose store fails: what is in doubt is read again, and nothing is promised meanwhile.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use actix::{Addr, System};
use bytes::Bytes;
use lull_fleet_policy::enrollment::Token;
use lull_fleet_policy::session::Presence;
use lull_fleet_policy::{
    AppId, ClientName, DeduplicationKey, KeyFingerprint, Labels, Mailbox, PushId, Sequence,
};
use lull_proto::device::v1::session_response::Message as Heard;
use tonic::Status;

use super::messages::{Accepted, Arrived, Attach, Draft, FromDevice, Said};
use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::store::{
    CertificateRecord, ClientRecord, DeviceCursor, DevicePage, DeviceRecord, DuePush, Earlier,
    Epoch, Holder, NewCertificate, NewDevice, Options, Outcome, PushRecord, ReceiptCursor,
    ReceiptPage, SqliteStore, StoreFuture, TargetPage, TokenHash, TokenRecord,
};

/// What happens to the commits of the next pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Done, and said so.
    Done,
    /// Done, though the answer is that it failed.
    DoneInSecret,
    /// Not done.
    Lost,
}

#[derive(Debug)]
struct Fickle {
    inner: SqliteStore,
    fate: Mutex<Fate>,
    mailboxes_fail: AtomicBool,
}

fn failure() -> StoreError {
    StoreError::CommitFailed {
        path: "coordinator.db".into(),
        source: Arc::new(rusqlite::Error::InvalidQuery),
    }
}

macro_rules! pass {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($arg: $kind),*) -> StoreFuture<'_, $answer> {
            self.inner.$name($($arg),*)
        })*
    };
}

impl Store for Fickle {
    fn incarnation(&self) -> &str {
        self.inner.incarnation()
    }

    fn commit(&self, changes: Vec<Change>) -> StoreFuture<'_, Vec<Outcome>> {
        let a_push = matches!(changes.first(), Some(Change::AcceptPush(_)));
        match *self.fate.lock().unwrap() {
            Fate::DoneInSecret if a_push => {
                let commit = self.inner.commit(changes);
                Box::pin(async move {
                    commit.await?;
                    Err(failure())
                })
            }
            Fate::Lost if a_push => Box::pin(async move { Err(failure()) }),
            _ => self.inner.commit(changes),
        }
    }

    fn mailboxes(&self, devices: Vec<DeviceId>) -> StoreFuture<'_, Vec<Option<Mailbox>>> {
        if self.mailboxes_fail.swap(false, Ordering::Relaxed) {
            return Box::pin(async move { Err(failure()) });
        }
        self.inner.mailboxes(devices)
    }

    pass! {
        claim_shard(shard: ShardId) -> Epoch;
        device(device: DeviceId) -> Option<DeviceRecord>;
        devices(after: Option<DeviceCursor>, limit: u32) -> DevicePage;
        mail(device: DeviceId, after: Sequence, limit: u32) -> Vec<Waiting>;
        payloads(pushes: Vec<PushId>) -> Vec<Option<Bytes>>;
        push(push: PushId) -> Option<PushRecord>;
        targets(push: PushId, after: Option<DeviceId>, limit: u32) -> TargetPage;
        receipts(push: PushId, after: ReceiptCursor, limit: u32) -> ReceiptPage;
        earlier(sender: ClientName, app: AppId, key: DeduplicationKey, now: Wall) -> Option<Earlier>;
        token(hash: TokenHash) -> Option<TokenRecord>;
        certificate(serial: Vec<u8>) -> Option<CertificateRecord>;
        client(name: ClientName) -> Option<ClientRecord>;
        due(now: Wall, limit: u32) -> Vec<DuePush>;
    }
}

const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);

/// A store with one device.
async fn store(folder: &std::path::Path) -> Arc<Fickle> {
    let inner = SqliteStore::open(&Options {
        path: folder.join("coordinator.db"),
        incarnation: "one".to_owned(),
        now: Wall::from_millis(1),
    });
    let store = Arc::new(Fickle {
        inner: inner.unwrap(),
        fate: Mutex::new(Fate::Done),
        mailboxes_fail: AtomicBool::new(false),
    });
    let (hash, expires) = (TokenHash([1; 32]), Wall::from_millis(u64::MAX >> 2));
    let token = Token {
        expires,
        bound: None,
    };
    let labels = Labels::default();
    let changes = vec![
        Change::AddToken {
            hash,
            token: TokenRecord {
                token,
                labels: labels.clone(),
            },
        },
        Change::Redeem {
            hash,
            before: token,
            after: token,
            device: Some(Box::new(NewDevice {
                id: DEVICE,
                name: "bench".to_owned(),
                key: KeyFingerprint([2; 32]),
                operator_labels: labels.clone(),
                own_labels: labels,
                enrolled: Wall::from_millis(1),
            })),
            certificate: NewCertificate {
                serial: vec![1],
                holder: Holder::Device(DEVICE),
                expires,
            },
        },
    ];
    for outcome in store.commit(changes).await.unwrap() {
        assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    }
    store
}

async fn shard(store: &Arc<Fickle>) -> Addr<Shard> {
    let common = Common {
        store: Arc::clone(store) as Arc<dyn Store>,
        clock: Arc::new(SystemClock),
        limits: Limits::default(),
        ping: Span::seconds(30),
        watchers: Watchers::new(1),
        devices: Arc::default(),
        fatal: CancellationToken::new(),
    };
    let shards = Shard::open_all(&common).await.unwrap();
    let mine = ShardId::of(DEVICE, SHARDS);
    let shard = shards.into_iter().find(|shard| shard.fence.shard == mine);
    shard.unwrap().start()
}

async fn send(shard: &Addr<Shard>, n: u8) -> Result<Accepted, Refusal> {
    let now = Wall::from_millis(SystemClock.wall());
    let (reply, answer) = oneshot::channel();
    let draft = Draft {
        id: PushId::from_bytes([n; 16]),
        app: AppId::new("photos").unwrap(),
        sender: ClientName::new("shop").unwrap(),
        payload: Bytes::from_static(b"x"),
        accepted: now,
        expires: now.after(Span::hours(1)),
        deduplicate: None,
    };
    let device = DEVICE;
    let submit = Submit {
        device,
        draft,
        reply,
    };
    shard.send(submit).await.unwrap();
    answer.await.unwrap()
}

/// Sends until it is decided on a mailbox that was read again.
async fn send_again(shard: &Addr<Shard>, n: u8) -> Accepted {
    let tries = async {
        loop {
            match send(shard, n).await {
                Ok(accepted) => return accepted,
                Err(Refusal::Again) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, tries).await.unwrap()
}

type Connection = mpsc::Receiver<Result<lull_proto::device::v1::SessionResponse, Status>>;

async fn attach(store: &Arc<Fickle>, shard: &Addr<Shard>) -> (Arc<Session>, Connection) {
    let (outgoing, connection) = mpsc::channel(OUTGOING);
    let presence = Presence {
        boot: "boot".to_owned(),
        store: "store".to_owned(),
    };
    let now = SystemClock.running();
    let session = Arc::new(Session::new(
        presence,
        outgoing,
        CancellationToken::new(),
        now,
    ));
    let attach = Attach {
        record: Box::new(store.device(DEVICE).await.unwrap().unwrap()),
        mailbox: Mailbox::default(),
        session: Arc::clone(&session),
        version: "1".to_owned(),
        protocol: 1,
        taken: (String::new(), 0),
        probed: None,
    };
    let arrived = shard.send(attach).await.unwrap();
    assert!(matches!(arrived, Arrived::Begins), "{arrived:?}");
    let word = Said::Grant(AppId::new("photos").unwrap(), 64);
    let grant = FromDevice {
        device: DEVICE,
        session: session.number,
        word,
    };
    shard.send(grant).await.unwrap();
    (session, connection)
}

/// The pushes that come after the hello, until nothing more does for now.
async fn delivered(connection: &mut Connection, count: usize) -> Vec<String> {
    let mut pushes = Vec::new();
    while pushes.len() < count {
        let heard = tokio::time::timeout(Duration::from_secs(20), connection.recv());
        match heard.await.unwrap().unwrap().unwrap().message {
            Some(Heard::Delivery(delivery)) => pushes.push(delivery.push_id),
            Some(Heard::Hello(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    pushes
}

fn id(n: u8) -> String {
    PushId::from_bytes([n; 16]).to_string()
}

#[test]
fn a_commit_in_doubt_ends_the_session_and_the_mailbox_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let store = store(folder.path()).await;
        let shard = shard(&store).await;
        let (session, mut connection) = attach(&store, &shard).await;
        send(&shard, 1).await.unwrap();
        assert_eq!(delivered(&mut connection, 1).await, [id(1)]);

        *store.fate.lock().unwrap() = Fate::DoneInSecret;
        store.mailboxes_fail.store(true, Ordering::Relaxed);
        let refused = send(&shard, 2).await.unwrap_err();
        assert!(matches!(refused, Refusal::Store(_)), "{refused}");
        assert_eq!(session.reason().unwrap().code(), tonic::Code::Unavailable);
        *store.fate.lock().unwrap() = Fate::Done;
        send_again(&shard, 3).await;

        // What was stored in secret is there, in its place, and so is what was not acknowledged.
        let (_session, mut connection) = attach(&store, &shard).await;
        assert_eq!(delivered(&mut connection, 3).await, [id(1), id(2), id(3)]);
    });
}

#[test]
fn a_commit_that_was_lost_leaves_room_and_order() {
    let folder = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let store = store(folder.path()).await;
        let shard = shard(&store).await;
        *store.fate.lock().unwrap() = Fate::Lost;
        let refused = send(&shard, 1).await.unwrap_err();
        assert!(matches!(refused, Refusal::Store(_)), "{refused}");
        *store.fate.lock().unwrap() = Fate::Done;
        send_again(&shard, 2).await;
        send_again(&shard, 3).await;
        let mailbox = store.mailboxes(vec![DEVICE]).await.unwrap()[0].unwrap();
        assert_eq!((mailbox.count(), mailbox.bytes()), (2, 2));
        let (_session, mut connection) = attach(&store, &shard).await;
        assert_eq!(delivered(&mut connection, 2).await, [id(2), id(3)]);
    });
}

#[test]
fn a_shard_that_was_taken_over_stops() {
    let folder = tempfile::tempdir().unwrap();
    System::new().block_on(async {
        let store = store(folder.path()).await;
        let old = shard(&store).await;
        let new = shard(&store).await;
        send(&new, 1).await.unwrap();
        let refused = send(&old, 2).await.unwrap_err();
        assert!(matches!(refused, Refusal::Again), "{refused}");
        send(&new, 3).await.unwrap();
    });
}
