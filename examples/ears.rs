//! Runs the speech commands by themselves.
use clap::Parser;
#[derive(Parser)]
enum Command { Transcribe(patchcord::cli::transcribe::Args) }
fn main() -> anyhow::Result<()> { match Command::parse() { Command::Transcribe(args) => patchcord::cli::transcribe::run(args) } }
