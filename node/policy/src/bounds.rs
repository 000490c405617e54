//! Every bound of the machine, with its reason. What overflows one has a decided, counted outcome.
//!
//! Figures an operator may change are no bounds: they stand in [`Policy`](crate::Policy).

use crate::Span;

/// Conditions in one request, doubles included: there are six, and a few to spare for careless clients.
pub const CONDITIONS: usize = 16;

/// Registrations of one app. An app with more is enumerating something; it is refused (`LimitReached`).
/// Spent one-shots make room, oldest first.
pub const REGISTRATIONS_PER_APP: usize = 128;

/// Apps on one device. What lies beyond, in the order of ids and after those known already, counts as not
/// installed.
pub const APPS: usize = 256;

/// Runs kept after their end: a day of a busy device, and about 100 KiB without outputs.
pub const FINISHED_RUNS: usize = 256;

/// Verdicts kept in full beside those still waiting, which are never forgotten.
pub const VERDICTS: usize = 256;

/// Bytes of a message: an error chain fits, a log does not.
pub const MESSAGE: usize = 1024;

/// Bytes of output kept with a run: its last ones (architecture, 7).
pub const OUTPUT: usize = 8 * 1024;

/// Bytes of a raw push (PSH-08).
pub const PUSH_PAYLOAD: usize = 5_000;

/// Ids of pushes remembered against doubles. At one push every 10 seconds and 4 days it is half full. A
/// full memory takes no further push (credit 0) rather than forget one that could come again.
pub const SEEN_PUSHES: usize = 65_536;

/// Receipts that wait for the coordinator. At the bound no further push is taken (credit 0) and hops that
/// are not terminal are not written; a terminal one always is, so that a push is never lost in silence.
pub const RECEIPTS: usize = 16_384;

/// Task names of one app with counts of their own; further ones share the row [`OTHER`].
pub const COUNTED_TASKS_PER_APP: usize = 256;

/// Apps with counts of their own, uninstalled ones included; further ones share the row [`OTHER`].
pub const COUNTED_APPS: usize = 512;

/// The row of the ledger for what has no row of its own.
pub const OTHER: &str = ":other";

/// The task name under which pushes that reach no registration stand in the ledger.
pub const UNROUTED: &str = ":push";

/// Verdicts shown by one explanation.
pub const RECENT_VERDICTS: usize = 8;

/// How long after its expiry a push is remembered: covers clocks that differ by a day.
pub const SEEN_AFTER_EXPIRY: Span = Span::days(1);

/// How long a push is remembered at least: the default time to live.
pub const SEEN_AT_LEAST: Span = Span::days(3);

/// How late a timer may start on its tick before it waits for the next one (after suspend or downtime). Longer
/// than a stalled disk, shorter than any tick.
pub const TICK_LATENESS: Span = Span::seconds(30);

/// By how much two starts of a timer may be closer than the floor: the host's own jitter (as AMB-32).
pub const START_TOLERANCE: Span = Span::seconds(1);

/// How long after a start of the daemon firings wait for the first reading of power before it counts as
/// unknown, which holds nothing back (RES-09).
pub const POWER_AWAITED: Span = Span::seconds(5);
