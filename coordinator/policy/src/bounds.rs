//! Every bound of the fleet's decisions, with its reason. Those an operator may change stand in
//! [`Limits`](crate::Limits) with these figures as their defaults.

use crate::Span;

/// Bytes of a push's payload (PSH-08): 5,000 are accepted, 5,001 refused.
pub const PAYLOAD: usize = 5_000;

/// Shortest time to live: below a second no device could be told in time.
pub const SHORTEST_LIFE: Span = Span::seconds(1);

/// Longest time to live: four weeks, the span after which a device that never came counts as away for good.
pub const LONGEST_LIFE: Span = Span::days(28);

/// Time to live of a push that names none (AMB-39).
pub const DEFAULT_LIFE: Span = Span::days(3);

/// Bytes of a sender's de-duplication key: a UUID, a hash in hex, or a short name.
pub const DEDUPLICATION_KEY: usize = 64;

/// How long a sender's key is remembered: longer than any sensible retry of the sender.
pub const DEDUPLICATION_WINDOW: Span = Span::hours(24);

/// Labels in a selector: a choice by more than 8 labels is a list of devices in disguise.
pub const SELECTOR_LABELS: usize = 8;

/// Labels of a device, for the operator's and for the device's own: what inventories use, and 4 KiB at most.
pub const LABELS: usize = 32;

/// Bytes of a label's key, and of its value: those of DNS labels and Kubernetes.
pub const LABEL_TEXT: usize = 63;

/// Bytes of a device's name for people.
pub const DEVICE_NAME: usize = 64;

/// Pushes that wait in one device's mailbox: 32 full queues of an app on the device (64 each). A device that
/// is away for a day may be sent one every 42 seconds.
pub const MAILBOX_COUNT: u32 = 2_048;

/// Bytes of payload that wait in one device's mailbox: what a device on a slow link (1 Mbit/s) takes in half a minute.
pub const MAILBOX_BYTES: u64 = 4 << 20;

/// Devices of one push: all-or-nothing acceptance is one transaction, which 10,000 rows keep well under a second.
pub const TARGETS: usize = 10_000;

/// Apps that one session may hold credit for: those a device can have (its own bound).
pub const CREDIT_APPS: usize = 256;

/// Pushes in flight to one device: what its credit can sum up to in practice (64 an app) before it acknowledges.
pub const IN_FLIGHT: usize = 1_024;

/// Starts recorded for one push on one device: each registration of an app may run it, and a lost run again.
/// Further ones are not recorded; the terminal receipt always is.
pub const STARTS: u32 = 256;

/// Devices of one push that one step of the sweep closes or removes. With [`SWEEP_PUSHES`], one step is at most what the
/// store's writer takes at once, so that no sender waits behind it for long.
pub const SWEEP_DEVICES: u32 = 128;

/// Pushes that one step of the sweep looks at.
pub const SWEEP_PUSHES: u32 = 64;

/// How long a push is kept after its last device's terminal receipt, for `Get` and `Watch`.
pub const KEPT_AFTER_END: Span = Span::hours(24);

/// How long after its expiry the coordinator waits for a device that may hold a push. Then it is dropped with
/// the reason `device-silent`: its fate is not known here.
pub const SILENCE: Span = Span::days(30);

/// Life of an enrolment token, at most and by default.
pub const TOKEN_LIFE: Span = Span::minutes(10);

/// Answers to the same token and key after the first: an answer may be lost, but not for ever.
pub const TOKEN_RECOVERIES: u32 = 3;

/// Life of a client certificate, at most and by default.
pub const CLIENT_CERTIFICATE_LIFE: Span = Span::days(90);

/// Apps that a publisher may be scoped to.
pub const PUBLISHER_APPS: usize = 256;

/// How long a session that stands in the way is given to answer a ping: several round trips of a bad mobile link.
pub const PROBE: Span = Span::seconds(5);

/// Pings that may stay without any sign of life before a session counts as dead.
pub const SILENT_PINGS: u64 = 3;
