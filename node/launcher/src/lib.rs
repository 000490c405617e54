//! The launcher: a small single-threaded process that cages, starts and outlives every agent.
//!
//! It is the parent of every agent, so that a daemon that is killed, upgraded or crashed takes none of them with it:
//! the launcher goes on holding their exit status, their last output and their socket, and hands all of it to the daemon
//! that connects next. It decides nothing: what is started, with which limits, and when it is killed are orders of the daemon. What
//! it enforces by itself is one rule: **an agent is its main process**. When that ends, or when the cage was out of
//! memory, what is left of the tree is killed at once, and the run counts as ended only when nobody of the tree lives.
//!
//! - [`run`] is the process: a poll loop over its socket, its children's pipes, and the cages' own notices.
//! - [`spawn`] starts one where none answers, [`Client`] speaks to it.
//! - [`cage`] holds how much a run may use: cgroup v1 and v2, chosen per feature.
//! - [`sandbox`] holds what an agent may do at all: seccomp and Landlock.
//! - `sys` is the only module with `unsafe` code in the node: clone, the child until `execve`, and signals.
//!
//! Deliberately absent: the rules of runs (in `lull-policy`), the agents' line protocol (in the daemon), threads, a
//! runtime, logging, and anything durable: a launcher that dies loses its runs, and the next one clears its cages.

mod bpf;
pub mod cage;
mod client;
mod clock;
mod launch;
mod output;
mod run;
pub mod sandbox;
mod server;
mod socket;
mod spawn;
mod sys;
pub mod wire;

/// This build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub use client::{Client, ClientError, Greeting, HeldRun, KeptSocket};
pub use output::OUTPUT;
pub use server::{IDLE, RUNS, RunError, run};
pub use socket::{Channel, ChannelError, MESSAGE_LIMIT, Received};
pub use spawn::{SpawnError, answers, spawn};
