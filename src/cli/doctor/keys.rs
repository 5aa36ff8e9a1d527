//! The store's signing keys: how many there are, how old, and which signs.

use super::Finding;
use crate::{
    app::{self, MasterKeys},
    cli::storage::Beside,
    clock,
    config::Settings,
    domain::{signing::SigningKeys, time::Timestamp},
};

const DAY_S: u64 = 24 * 3_600;

/// Looks at the keys. Of a store that is not ready to be served, nothing is opened: that would change it. No key is made.
pub(super) async fn signing(settings: &Settings, is_ready: bool) -> Finding {
    if !is_ready {
        return Finding::Skipped("the store is not ready to be read".to_owned());
    }
    look(settings).await.unwrap_or_else(|error| {
        Finding::failed(
            format!("they do not open: {error:#}"),
            "see to the store, and give it the master key that its keys are sealed under",
        )
    })
}

async fn look(settings: &Settings) -> anyhow::Result<Finding> {
    let beside = Beside::open(&settings.store).await?;
    let wrapped = beside.store.keyring.wrapped_keys().await;
    beside.close().await?;
    let Some(wrapped) = wrapped? else {
        return Ok(Finding::Skipped("they are made at the first start".to_owned()));
    };
    let (security, file) = (settings.security.clone(), app::key_file(&settings.store));
    let masters = tokio::task::spawn_blocking(move || MasterKeys::read(&security, &file)).await??;
    let keys = app::opened(&wrapped, &masters)?;
    let mut said = told(&keys.signing, clock::now());
    if masters.all().iter().any(|master| keys.sign_with(master)) {
        said += "; one is the master key that this store began with: `patchcord key rotate --signing`, later `patchcord key retire`, end that";
    }
    Ok(Finding::Good(said))
}

fn told(keys: &SigningKeys, now: Timestamp) -> String {
    let signs = keys.current(now).name();
    let each: Vec<String> = keys
        .all()
        .iter()
        .map(|key| {
            let age = match key.made_at() {
                made_at if made_at == Timestamp::default() => "of unknown age".to_owned(),
                made_at => format!("{} days old", now.since(made_at).as_secs() / DAY_S),
            };
            let role = if key.name() == signs { ", signs" } else { "" };
            format!("{} ({age}{role})", key.name())
        })
        .collect();
    format!("{}: {}", each.len(), each.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{secret::Secret, signing::SIGNS_AFTER};

    #[test]
    fn each_key_is_told_with_its_age_and_which_signs() {
        let now = Timestamp::from_unix_millis(1_795_000_000_000);
        let early = SigningKeys::of(Secret::new("00".repeat(32)), Timestamp::default());
        let made_at = now.minus(Duration::from_hours(72));
        let both = early.with(Secret::new("11".repeat(32)), made_at).expect("room");
        let names = both.names();
        assert_eq!(
            told(&both, now),
            format!(
                "2: {} (of unknown age), {} (3 days old, signs)",
                names[0], names[1]
            )
        );
        let fresh = told(&both, made_at.plus(SIGNS_AFTER / 2));
        assert!(fresh.contains("(of unknown age, signs)"), "{fresh}");
    }
}
