//! `patchcord store copy`: from an embedded store to a cluster's, while no server runs on either.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::serve::with_runtime;
use crate::store::{
    copy::Copying,
    scylla::{self, Address},
    sqlite,
};

/// What is to be done with a store.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy everything but sessions, then compare both stores by counts and hashes. May be repeated.
    Copy {
        /// The store of one machine, `sqlite:data/patchcord.db`.
        #[arg(long, value_name = "URL")]
        from: String,
        /// The store of a cluster, `scylla://host:port/keyspace?replication=3`.
        #[arg(long, value_name = "URL")]
        to: Address,
    },
}

/// Carries the command out.
///
/// # Errors
/// When a server runs on the file, a store does not answer, or the copy is not the same.
pub fn run(arguments: Args) -> anyhow::Result<()> {
    let Command::Copy { from, to } = arguments.command;
    let path = from
        .strip_prefix("sqlite:")
        .map(PathBuf::from)
        .context("--from: expected `sqlite:<path>`")?;
    anyhow::ensure!(path.is_file(), "--from: there is no store at {}", path.display());
    with_runtime(async move {
        let target = scylla::open_to_copy(&to)
            .await
            .with_context(|| format!("--to: {to} cannot be opened"))?;
        let opening = tokio::task::spawn_blocking(move || {
            // Holds the file, so that no server begins on it meanwhile.
            let (store, guard) = sqlite::open(&path)?;
            Ok::<_, anyhow::Error>((Copying::new(&path, store, target)?, guard))
        });
        let (copying, guard) = opening.await.context("opening the store broke off")??;
        let same = copying.run().await?;
        for digest in same {
            println!("{digest}");
        }
        println!("copied: both stores hold the same");
        drop(copying);
        tokio::task::spawn_blocking(move || drop(guard))
            .await
            .context("the store could not be closed")
    })
}
