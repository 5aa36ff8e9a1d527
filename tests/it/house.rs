//! The program itself: what it answers to a person at a shell.

use std::process::Command;

use crate::support::server::PROGRAM;

#[test]
fn a_wrong_command_is_bad_usage() {
    let output = Command::new(PROGRAM)
        .arg("no-such-command")
        .output()
        .expect("the program starts");
    assert_eq!(
        output.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_help_names_the_commands_of_the_contract() {
    let output = Command::new(PROGRAM)
        .arg("--help")
        .output()
        .expect("the program starts");
    let help = String::from_utf8_lossy(&output.stdout);
    for command in [
        "serve",
        "dev",
        "simulate",
        "transcribe",
        "analyze",
        "model",
        "doctor",
        "user",
        "backup",
        "restore",
        "openapi",
        "completions",
    ] {
        assert!(help.contains(command), "`{command}` is missing from:\n{help}");
    }
}
