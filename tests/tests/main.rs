//! Tests over the whole workspace. One binary; a module per subject.

mod conformance;
mod tidy;
