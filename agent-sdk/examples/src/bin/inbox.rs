//! The agent `inbox`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    lull_examples::inbox::main()
}
