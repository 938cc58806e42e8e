//! `tieout`: parses arguments, calls a command, prints its error.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tieout::cli::main()
}
