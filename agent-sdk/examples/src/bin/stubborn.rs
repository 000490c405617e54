//! The agent `stubborn`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    lull_examples::stubborn::main()
}
