//! `patchcord key`: another master key, and other signing keys (`signing`), also while a server runs.
//!
//! A fresh master key is put into the key file before the old one, then the store's keys are sealed anew under it. Stopped anywhere
//! in between, both are there and either opens; run again, it goes on where it stopped. A running server has the store's keys open and
//! does not notice.

mod signing;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Subcommand;
use serde_json::json;

use self::signing::WebhookSecrets;
use super::{
    deeds::{self, Done},
    serve::with_runtime,
    storage::Beside,
};
use crate::{
    app::{self, MasterKeys},
    config::{self, Settings},
    store::Store,
};

/// What is to be done with keys.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// A TOML file that overrides the defaults; the environment overrides it.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Seal the store's keys under another master key. With security.master_key set, that is the one.
    Rotate {
        /// Add a signing key instead: minutes later it signs tokens. What earlier ones signed stays valid until `key retire`.
        #[arg(long, conflicts_with = "drop_old")]
        signing: bool,
        /// Takes earlier keys out of the key file afterwards: copies of the store from before do not open any more.
        #[arg(long)]
        drop_old: bool,
    },
    /// Take the signing keys before the present one out of the store: nothing that they signed is valid any more.
    Retire {
        /// Also when outgoing webhooks are signed by secrets made from them: those accounts have other secrets at once.
        #[arg(long)]
        replace_webhook_secrets: bool,
    },
}

/// Carries the command out.
///
/// # Errors
/// When the key file or the store cannot be read or written, or no key opens the store's.
pub fn run(arguments: Args) -> anyhow::Result<()> {
    let settings = config::load(arguments.config.as_deref())?;
    with_runtime(async move {
        let beside = Beside::open(&settings.store).await?;
        let store = &beside.store;
        let done = match arguments.command {
            Command::Rotate { signing: true, .. } => signing::rotate(store, &settings).await,
            Command::Rotate { drop_old, .. } => rotate(store, &settings, drop_old).await,
            Command::Retire {
                replace_webhook_secrets: false,
            } => signing::retire(store, &settings, WebhookSecrets::Keep).await,
            Command::Retire {
                replace_webhook_secrets: true,
            } => signing::retire(store, &settings, WebhookSecrets::Replace).await,
        };
        beside.close().await?;
        done
    })
}

async fn rotate(store: &Store, settings: &Settings, drop_old: bool) -> anyhow::Result<()> {
    let file = app::key_file(&settings.store);
    let is_configured = !settings.security.master_key.is_empty();
    let mut masters = MasterKeys::load(&settings.security, &file)?;
    let (wrapped, keys) = app::data_keys(store, &masters).await?;
    let is_done = wrapped.master == masters.current().name();
    if is_done && is_configured {
        bail!(
            "the store's keys are sealed under security.master_key already: set another one there, and this one in \
             security.previous_master_keys"
        );
    }
    if is_done {
        masters = masters.renew(&file)?;
    } else {
        println!("going on with a rotation that was begun before");
    }
    let fresh = keys.wrap(masters.current())?;
    let stands = store.keyring.rewrap(Some(wrapped.clone()), fresh.clone()).await?;
    if stands != fresh {
        bail!("another `patchcord key rotate` was faster: nothing is lost, look at what it says");
    }
    let rotated = Done {
        action: "key rotate",
        before: Some(json!({"master_key": wrapped.master})),
        after: Some(json!({"master_key": fresh.master})),
        ..Done::default()
    };
    deeds::note_for_all(store, rotated).await?;
    println!(
        "the store's keys were sealed under {} and are now under {}",
        wrapped.master, fresh.master
    );
    if masters.all().iter().any(|master| keys.sign_with(master)) {
        println!(
            "this store was made by an early version and signs with the master key that it began with: keep that one secret too, until \
             `patchcord key rotate --signing` and, ten minutes later, `patchcord key retire` have given it a signing key of its own"
        );
    }
    finish(&masters, &file, is_configured, drop_old)
}

fn finish(masters: &MasterKeys, file: &Path, is_configured: bool, drop_old: bool) -> anyhow::Result<()> {
    match (is_configured, drop_old) {
        (true, _) => {
            println!("security.previous_master_keys is not needed any more but for copies from before")
        }
        (false, true) => {
            masters.drop_previous(file)?;
            println!("{} holds the present key only", file.display());
        }
        (false, false) => println!(
            "{} holds the earlier key too, for copies from before; --drop-old takes it out at the next rotation",
            file.display()
        ),
    }
    Ok(())
}
