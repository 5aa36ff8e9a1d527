//! `patchcord backup` and `patchcord restore`: the embedded store as one file, taken while it is served, put back while it is not.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::{
    deeds::{self, Done},
    serve::with_runtime,
    storage::{Beside, file_of},
};
use crate::{
    config::{self, StoreSettings},
    http::setup::BACKUP,
    store::sqlite::{self, Copied},
};

/// What may be written after `patchcord backup`.
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The file that the copy becomes.
    file: PathBuf,
    /// Replaces the file when there is one.
    #[arg(long)]
    overwrite: bool,
    /// A TOML file that overrides the defaults; the environment overrides it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What may be written after `patchcord restore`.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// A file that `patchcord backup` wrote.
    file: PathBuf,
    /// A TOML file that overrides the defaults; the environment overrides it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Copies the store that is configured.
///
/// # Errors
/// When there is none, the copy cannot be written, or it is not whole.
pub fn back_up(arguments: &BackupArgs) -> anyhow::Result<()> {
    let settings = config::load(arguments.config.as_deref())?;
    let (source, target) = (file_of(&settings.store)?, &arguments.file);
    ensure!(
        source.is_file(),
        "store.url: there is no store at {}",
        source.display()
    );
    ensure!(
        !is_same(&source, target),
        "{} is the store itself: name another file",
        target.display()
    );
    ensure!(
        arguments.overwrite || !target.exists(),
        "{} exists: name another file, or add --overwrite",
        target.display()
    );
    let copied = sqlite::copy_to(&source, target)
        .with_context(|| format!("{} cannot be copied to {}", source.display(), target.display()))?;
    println!("backed up {} to {}", source.display(), target.display());
    print(&copied);
    note(&settings.store, &source, target, copied.bytes)?;
    if settings.security.master_key.is_empty() {
        println!(
            "the master key is not in it: keep a copy of {} too",
            source.with_extension("key").display()
        );
    }
    Ok(())
}

/// Writes the copy down in the store's audit log. A store of another program's schema is left as it is: to open it would change it.
fn note(settings: &StoreSettings, source: &Path, target: &Path, bytes: u64) -> anyhow::Result<()> {
    if !sqlite::is_up_to_date(source)? {
        println!("the store is not of this program's version: the copy is not in its audit log");
        return Ok(());
    }
    let done = Done {
        action: BACKUP,
        after: Some(json!({"to": target.display().to_string(), "bytes": bytes})),
        ..Done::default()
    };
    with_runtime(async {
        let beside = Beside::open(settings).await?;
        let noted = deeds::note_for_all(&beside.store, done).await;
        beside.close().await?;
        noted
    })
}

/// Puts a copy in the place of the store that is configured.
///
/// # Errors
/// When a server holds the store, or the copy is not whole.
pub fn restore(arguments: &RestoreArgs) -> anyhow::Result<()> {
    let settings = config::load(arguments.config.as_deref())?;
    let (target, backup) = (file_of(&settings.store)?, &arguments.file);
    ensure!(
        backup.is_file(),
        "there is no file {}: expected one that `patchcord backup` wrote",
        backup.display()
    );
    ensure!(
        !is_same(&target, backup),
        "{} is the store itself: name the copy",
        backup.display()
    );
    let restored = sqlite::restore(backup, &target).with_context(|| {
        format!(
            "{} cannot be restored to {}, which is as it was",
            backup.display(),
            target.display()
        )
    })?;
    with_runtime(async {
        let beside = Beside::open(&settings.store).await?;
        let from = backup.display().to_string();
        let done = Done {
            action: "restore",
            after: Some(json!({"from": from, "bytes": restored.copied.bytes})),
            ..Done::default()
        };
        let noted = deeds::note_for_all(&beside.store, done).await;
        beside.close().await?;
        noted
    })?;
    println!("restored {} to {}", backup.display(), target.display());
    print(&restored.copied);
    if let Some(replaced) = restored.replaced {
        println!("the store that was there is kept as {}", replaced.display());
    }
    Ok(())
}

fn is_same(left: &Path, right: &Path) -> bool {
    match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}

fn print(copied: &Copied) {
    println!("{} bytes, read through and whole", copied.bytes);
    for (table, rows) in copied.rows.iter().filter(|(_, rows)| *rows > 0) {
        println!("{rows:>10} {table}");
    }
}
