//! What may be written after `patchcord`, and the exit status of each command.

use std::{
    io::{ErrorKind, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};

use super::{
    analyze::{self, AnalyzeError},
    backup, dev, doctor, key, model, script_runner, serve, simulate, store, transcribe, user,
};
use crate::{config::ConfigError, http};

/// Exit status for bad usage and bad configuration; 1 is for a command that failed.
const EXIT_USAGE: u8 = 2;

/// Telephony-centric automation: live calls heard, understood and acted on.
#[derive(Debug, Parser)]
#[command(name = "patchcord", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve {
        /// A TOML file that overrides the defaults; the environment overrides it.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Run a server for a first look: loopback only, demo data, nothing leaves the machine.
    Dev {
        /// A TOML file that overrides the defaults; the environment overrides it.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Play calls into a running server as Twilio would, and print what comes back.
    Simulate(Box<simulate::Arguments>),
    /// Turn recordings into words, with the code that listens to calls.
    Transcribe(transcribe::Args),
    /// List, fetch and find speech models.
    Model(model::Args),
    /// Score what customers said, with the code that scores live calls: JSON lines.
    Analyze(analyze::AnalyzeArgs),
    /// Check configuration, store, Redis, speech model, Twilio, public address and clock.
    Doctor {
        /// A TOML file that overrides the defaults; the environment overrides it.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Add people, set their passwords, list them.
    User(user::Args),
    /// Change the master key and the signing keys, also while a server runs.
    Key(key::Args),
    /// Copy the embedded store to a file, while a server runs on it.
    Backup(backup::BackupArgs),
    /// Put such a copy in the store's place, while no server runs on it.
    Restore(backup::RestoreArgs),
    /// Copy the store, while no server runs on it.
    Store(store::Args),
    /// Print the OpenAPI 3.1 document.
    Openapi,
    /// Run scripts for the server; not for people.
    #[command(hide = true)]
    ScriptRunner,
    /// Print shell completions.
    Completions { shell: clap_complete::Shell },
}

/// Runs the command in the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let is_configuration = error.downcast_ref::<ConfigError>().is_some();
            let is_bad_usage = error
                .downcast_ref::<AnalyzeError>()
                .is_some_and(AnalyzeError::is_bad_usage);
            eprintln!("patchcord: {error:#}");
            if is_configuration || is_bad_usage {
                ExitCode::from(EXIT_USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { config } => serve::run(config.as_deref()),
        Command::Dev { config } => dev::run(config.as_deref()),
        Command::Simulate(arguments) => serve::with_runtime(async move {
            match &arguments.sms {
                Some(text) => simulate::write(&arguments, text).await?,
                None => drop(simulate::run(&arguments).await?),
            }
            Ok(())
        }),
        Command::Transcribe(arguments) => transcribe::run(arguments),
        Command::Model(arguments) => model::run(arguments),
        Command::Analyze(arguments) => analyze::run(&arguments),
        Command::Doctor { config } => doctor::run(config.as_deref()),
        Command::User(arguments) => user::run(arguments),
        Command::Key(arguments) => key::run(arguments),
        Command::Backup(arguments) => backup::back_up(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Store(arguments) => store::run(arguments),
        Command::Openapi => print(http::openapi::document().to_pretty_json()? + "\n"),
        Command::ScriptRunner => script_runner::run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "patchcord", &mut script);
            print(script)
        }
    }
}

/// Writes a whole answer. A reader that has seen enough (`| head`) is no failure.
fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_ref()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
