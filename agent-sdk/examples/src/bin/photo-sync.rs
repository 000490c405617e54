//! The agent `photo-sync`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    lull_examples::photo_sync::main()
}
