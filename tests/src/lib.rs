//! Lull's harness: what the tests over several crates share.
//!
//! - [`workspace`]: where things are in the source tree.
//!
//! The tests themselves stand in `tests/tests/` (one binary, a module per subject), benches in
//! `tests/benches/`, the end-to-end checks in `tests/e2e/` (Python, so that they share no code with what they check).

pub mod workspace;
