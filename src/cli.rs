//! The command line: arguments, one file per command, exit codes.

use std::process::ExitCode;

/// Parses the arguments, runs the command, prints its error.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
