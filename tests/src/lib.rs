//! Lull's harness: what the tests and benches over several crates share.
//!
//! - [`workspace`]: where things are in the source tree.
//! - [`process`]: this very program again, as a server process of its own that ends with its owner.
//! - [`fleet`]: a running coordinator with its operator, and devices that are not nodes.
//! - [`floor`]: bare tonic with the same TLS and messages, which benches measure against.
//! - [`measure`]: rates, medians, resident memory.
//! - [`optimum`]: the fewest wake-ups that a schedule can have, and a judge of schedules.
//!
//! The tests themselves stand in `tests/tests/` (one binary, a module per subject), benches in
//! `tests/benches/`, the end-to-end checks in `tests/e2e/` (Python, so that they share no code with what they check).

pub mod fleet;
pub mod floor;
pub mod measure;
pub mod optimum;
pub mod process;
pub mod workspace;
