//! The parts on our side: store, Redis, speech model.

use std::{path::Path, time::Duration};

use tokio::time::timeout;

use super::Finding;
use crate::{
    actors::asr::AsrSettings,
    bus::redis::Redis,
    config::{RedisSettings, StoreSettings},
    media::{ggml, model_files},
    store::{
        scylla::{self, Address},
        sqlite,
    },
};

/// How long a database or a Redis may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Looks at the store. Says too whether a server would serve it as it is.
pub(super) async fn store(settings: &StoreSettings) -> (Finding, bool) {
    match settings.url.parse::<Address>() {
        Ok(address) => database(&address).await,
        Err(_) => {
            let path = settings
                .url
                .strip_prefix("sqlite:")
                .unwrap_or(&settings.url)
                .to_owned();
            let looked = tokio::task::spawn_blocking(move || file(Path::new(&path))).await;
            looked.unwrap_or_else(|error| (Finding::failed(error, "run it again and report this"), false))
        }
    }
}

async fn database(address: &Address) -> (Finding, bool) {
    let steps = timeout(ANSWER_WITHIN, scylla::steps_left(address)).await;
    let is_ready = matches!(steps, Ok(Ok(0)));
    let finding = match steps {
        Ok(Ok(0)) => Finding::Good(format!("{address} answers, its tables are up to date")),
        Ok(Ok(steps)) => Finding::Good(format!(
            "{address} answers; {steps} steps of the schema are taken at the next start"
        )),
        Ok(Err(error)) => Finding::failed(
            format!("{address}: {:#}", anyhow::Error::from(error)),
            "start the database, or correct store.url",
        ),
        Err(_) => Finding::failed(
            format!("{address} did not answer within {ANSWER_WITHIN:?}"),
            "start the database, or correct store.url",
        ),
    };
    (finding, is_ready)
}

fn file(path: &Path) -> (Finding, bool) {
    if !path.exists() {
        return (folder_for(path), false);
    }
    let inspected = sqlite::inspect(path);
    let is_ready =
        matches!(&inspected, Ok(found) if found.integrity == "ok" && found.steps_taken == found.steps_known);
    let finding = match inspected {
        Err(error) => Finding::failed(
            format!("{}: {:#}", path.display(), anyhow::Error::from(error)),
            "see that the file is ours and may be written by this user, or `patchcord restore` a copy",
        ),
        Ok(found) if found.integrity != "ok" => Finding::failed(
            format!("{} is damaged: {}", path.display(), found.integrity),
            "stop the server and `patchcord restore` the last copy",
        ),
        Ok(found) if found.steps_taken > found.steps_known => Finding::failed(
            format!(
                "{} has schema {}, this program knows up to {}",
                path.display(),
                found.steps_taken,
                found.steps_known
            ),
            "use the program that wrote it, or a newer one",
        ),
        Ok(found) => {
            let left = found.steps_known - found.steps_taken;
            let schema = match left {
                0 => "up to date".to_owned(),
                steps => format!("{steps} steps of the schema are taken at the next start"),
            };
            Finding::Good(format!(
                "{}: {} bytes, whole, {schema}",
                path.display(),
                found.bytes
            ))
        }
    };
    (finding, is_ready)
}

/// A store that is not made yet is well when it can be.
fn folder_for(path: &Path) -> Finding {
    let mut folder = path.parent().unwrap_or(Path::new("."));
    while !folder.as_os_str().is_empty() && !folder.exists() {
        folder = folder.parent().unwrap_or(Path::new(""));
    }
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    match tempfile_in(folder) {
        Ok(()) => Finding::Good(format!("{} is made at the first start", path.display())),
        Err(error) => Finding::failed(
            format!(
                "{} cannot be made in {}: {error}",
                path.display(),
                folder.display()
            ),
            "let this user write there, or set store.url to another place",
        ),
    }
}

/// Whether a file can be made in `folder`; it is gone at once.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".patchcord-doctor-{}", std::process::id()));
    std::fs::File::create_new(&probe)?;
    std::fs::remove_file(probe)
}

pub(super) async fn redis(settings: &RedisSettings) -> Finding {
    let url = settings.url.expose();
    if url.is_empty() {
        return Finding::Skipped("redis.url is not set: needed for several nodes only".to_owned());
    }
    let pinged = match Redis::new(url) {
        Ok(redis) => timeout(ANSWER_WITHIN, redis.ping()).await,
        Err(fault) => Ok(Err(fault)),
    };
    match pinged {
        Ok(Ok(())) => Finding::Good("answers".to_owned()),
        Ok(Err(fault)) => Finding::failed(fault, "start Redis, or correct redis.url"),
        Err(_) => Finding::failed(
            format!("no answer within {ANSWER_WITHIN:?}"),
            "start Redis, or correct redis.url",
        ),
    }
}

pub(super) async fn speech_model(settings: &AsrSettings) -> Finding {
    let (model, folder) = (settings.model.clone(), settings.models_dir.clone());
    let looked = tokio::task::spawn_blocking(move || model_in(&model, &folder)).await;
    looked.unwrap_or_else(|error| Finding::failed(error, "run it again and report this"))
}

fn model_in(model: &str, folder: &Path) -> Finding {
    if model.is_empty() || model == "none" {
        return Finding::Skipped("asr.model is none: calls are not transcribed".to_owned());
    }
    let path = match model_files::path_of(model, folder) {
        Ok(path) => path,
        Err(error) => return Finding::failed(error, "`patchcord model list` shows the names there are"),
    };
    let fetch = format!("patchcord model fetch {model}");
    if let Err(error) = ggml::validate(&path) {
        return Finding::failed(error, fetch);
    }
    let found = match model_files::sha256(&path) {
        Ok(found) => found,
        Err(error) => return Finding::failed(error, fetch),
    };
    let published = model_files::known(model).and_then(|known| known.published);
    let standing = match published {
        Some(published) if published.sha256 == found => "as published",
        Some(_) | None => "whole; not a published file: converted from a package, or your own",
    };
    Finding::Good(format!(
        "{}: {standing}, sha256 {}…",
        path.display(),
        &found[..16]
    ))
}
