//! `patchcord key rotate --signing` and `patchcord key retire`: the store's signing keys, while servers run on it.
//!
//! Either is one write of the one row that holds the store's keys: killed anywhere, the row is as before or as after.

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use crate::{
    app::{self, KEYS_READ_EVERY, MasterKeys},
    cli::deeds::{self, Done},
    clock,
    config::Settings,
    domain::{
        ids::AccountId,
        sealing::{DataKeys, SealingKey, WrappedKeys},
        signing::{SIGNS_AFTER, SigningKeys},
        time::Timestamp,
    },
    integrations::webhook_signature::SigningSecrets,
    store::Store,
};

/// Accounts that are looked through for secrets that are derived from a key.
const ACCOUNTS_MAX: u32 = 100_000;
/// Accounts that are named.
const NAMED_MAX: usize = 10;

/// What becomes of outgoing webhooks that are signed by secrets derived from a key that is retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WebhookSecrets {
    /// No key is retired as long as there are any.
    Keep,
    /// The accounts have other secrets at once.
    Replace,
}

/// Adds a signing key.
pub(super) async fn rotate(store: &Store, settings: &Settings) -> anyhow::Result<()> {
    let kept = Kept::open(store, settings).await?;
    let now = clock::now();
    let before = kept.keys.signing.clone();
    let after = before.with(SealingKey::draw()?.to_hex(), now)?;
    let fresh = after.names().pop().context("there is no key")?;
    kept.replace(store, after, "key rotate --signing").await?;
    println!(
        "the signing key {fresh} is added: running servers know it within {KEYS_READ_EVERY:?} and sign with it from {} on",
        now.plus(SIGNS_AFTER)
    );
    println!(
        "what {} signed stays valid until `patchcord key retire`",
        before.names().join(", ")
    );
    Ok(())
}

/// Takes the signing keys before the present one out.
pub(super) async fn retire(
    store: &Store,
    settings: &Settings,
    secrets: WebhookSecrets,
) -> anyhow::Result<()> {
    let kept = Kept::open(store, settings).await?;
    let now = clock::now();
    let (after, retired) = kept.keys.signing.without_earlier(now)?;
    let retired = retired.names();
    let bound = bound_accounts(store, &kept.keys.signing, &retired, now).await?;
    if secrets == WebhookSecrets::Keep && !bound.is_empty() {
        bail!(
            "the outgoing webhooks of {} are signed by secrets made from {}: let each account replace its secret (page Settings, or `POST \
             /api/webhooks/signing-secret/rotate`), and run this again a day later, when the one before signs no more; or give \
             --replace-webhook-secrets, and they have other secrets at once, which their receivers do not know",
            named(&bound),
            retired.join(", ")
        );
    }
    kept.replace(store, after, "key retire").await?;
    println!(
        "retired: {}; within {KEYS_READ_EVERY:?} servers refuse what was signed with it",
        retired.join(", ")
    );
    println!(
        "Twilio's reports about messages and calls that were sent under it are answered 403 (Twilio's debugger shows them): these keep the \
         status that they have. Addresses that are set in Twilio carry no token: none is to be set anew"
    );
    if !bound.is_empty() {
        println!(
            "the outgoing webhooks of {} are signed by other secrets: page Settings, or `GET /api/webhooks/signing-secret`, shows them; \
             receivers refuse what they get until they know them",
            named(&bound)
        );
    }
    Ok(())
}

/// The store's keys, opened, and what seals them.
struct Kept {
    master: SealingKey,
    wrapped: WrappedKeys,
    keys: DataKeys,
}

impl Kept {
    async fn open(store: &Store, settings: &Settings) -> anyhow::Result<Self> {
        let masters = MasterKeys::load(&settings.security, &app::key_file(&settings.store))?;
        let (wrapped, keys) = app::data_keys(store, &masters).await?;
        // Under the same one: an unfinished `key rotate` stays as it is.
        let master = masters
            .all()
            .iter()
            .find(|master| master.name() == wrapped.master);
        let master = master.context("the keys were opened by no key")?.clone();
        Ok(Self {
            master,
            wrapped,
            keys,
        })
    }

    async fn replace(self, store: &Store, signing: SigningKeys, action: &'static str) -> anyhow::Result<()> {
        let (before, after) = (self.keys.signing.names(), signing.names());
        let keys = DataKeys { signing, ..self.keys };
        let fresh = keys.wrap(&self.master)?;
        let stands = store.keyring.rewrap(Some(self.wrapped), fresh.clone()).await?;
        ensure!(
            stands == fresh,
            "another `patchcord key` was faster: nothing is lost, run this again"
        );
        let done = Done {
            action,
            before: Some(json!({"signing_keys": before})),
            after: Some(json!({"signing_keys": after})),
            ..Done::default()
        };
        deeds::note_for_all(store, done).await
    }
}

/// The accounts whose webhooks are signed by secrets that are derived from the keys `names`.
async fn bound_accounts(
    store: &Store,
    keys: &SigningKeys,
    names: &[String],
    now: Timestamp,
) -> anyhow::Result<Vec<AccountId>> {
    let ids = store.accounts.account_ids(ACCOUNTS_MAX + 1).await?;
    ensure!(
        u32::try_from(ids.len()).is_ok_and(|count| count <= ACCOUNTS_MAX),
        "there are more than {ACCOUNTS_MAX} accounts, which are not looked through"
    );
    let mut bound = Vec::new();
    for id in ids {
        let account = store.accounts.account(id).await?;
        if SigningSecrets::need(keys, names, &account.signing, now) {
            bound.push(id);
        }
    }
    Ok(bound)
}

fn named(accounts: &[AccountId]) -> String {
    let shown: Vec<String> = accounts.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = accounts.len() - shown.len();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more accounts", shown.join(", ")),
    }
}
