//! What a test has measured or tried, said past the harness, which keeps the output of tests that pass to itself.

use std::io::Write as _;

/// Says one line on the terminal.
///
/// # Panics
/// When nobody can be told.
pub fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}
