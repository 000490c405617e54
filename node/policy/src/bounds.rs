//! Every bound of the machine, with its reason. What overflows one has a decided, counted outcome.
//!
//! Figures an operator may change are no bounds: they stand in [`Policy`](crate::Policy).

use crate::Span;

/// Conditions in one request, doubles included: there are eight, and a few to spare for careless clients.
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

/// Arrivals with something to tell that wait at one registration (AMB-12): sockets, channels, text messages. The
/// oldest gives way.
pub const ARRIVALS: usize = 64;

/// Sockets that are held for one app (TRG-15), its control channels included: a server has a few doors and a few guests.
pub const SOCKETS_PER_APP: usize = 16;

/// Sockets held on one device: eight apps with as many as they may have. Each is two descriptors and an entry of epoll.
pub const SOCKETS: usize = 128;

/// Bytes that an app may leave with a socket for the run that gets it (TRGD-15): a name and a place, not a file.
pub const SOCKET_CONTEXT: usize = 1024;

/// News kept for an app that is not in the foreground: every run of a busy day. The oldest gives way; the durable
/// completion log still has it (AMB-20).
pub const UNHEARD: usize = 64;

/// Debug sessions at once: far more than people at one device.
pub const DEBUGGED: usize = 64;

/// Devices known to be away: those that were once there and left. Beyond that a device counts as there.
pub const UNPLUGGED: usize = 1_024;

/// Devices that one user let apps use.
pub const CONSENTS: usize = 1_024;

/// Registrations in one reconcile: what one app may have.
pub const DESIRED: usize = REGISTRATIONS_PER_APP;

/// By how much an expiry may lie beyond the limit: the transport's own delay (AMB-32).
pub const EXPIRY_TOLERANCE: Span = Span::seconds(1);
