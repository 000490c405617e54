//! The coordinator from outside: real TLS on loopback, hand-written clients, one process or a real child.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod enrolment;
mod listeners;
mod process;
mod push;
mod receipts;
mod session;
mod site;
