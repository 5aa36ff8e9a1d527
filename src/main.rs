//! The binary: everything is in the library.

use std::process::ExitCode;

/// Gives freed memory back to the system, which the C library's allocator keeps.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    patchcord::cli::run()
}
