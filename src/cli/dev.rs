//! `patchcord dev`: a server for a first look. Loopback only, demo data, every provider replaced by the outbox.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, bail};

use super::{
    demo::{self, ACCOUNT_SID, AUTH_TOKEN, EMAIL, PASSWORD},
    serve::{Admin, announce, build, create_owner, stop_asked, with_runtime},
};
use crate::{
    actors::settings::EffectsMode,
    config::{self, ConfigError, Settings},
    domain::secret::Secret,
    integrations::twilio::Routing,
};

/// Where `serve` keeps its store when nobody says; the demo must not write there.
const STORE_DEFAULT: &str = "sqlite:data/patchcord.db";
const STORE_DEV: &str = "sqlite:data/dev.db";

/// Runs the demo server.
///
/// # Errors
/// When the configuration is wrong or not loopback, the address taken, or the server fails.
pub fn run(config: Option<&Path>) -> anyhow::Result<()> {
    let settings = for_dev(config::load(config)?)?;
    with_runtime(async move {
        let app = build(settings).await?;
        let admin = Admin {
            email: EMAIL.to_owned(),
            password: Secret::new(PASSWORD.to_owned()),
        };
        if app.store.accounts.first_account().await?.is_none() {
            create_owner(&app, &admin, "Demo team").await?;
        }
        let account = app
            .store
            .accounts
            .first_account()
            .await?
            .context("the demo account is missing")?;
        demo::fill(&app.store, account.id).await?;
        announce(&app, Some(&admin)).await?;
        println!("sign in: {EMAIL} / {PASSWORD}");
        println!("outbox mode: no message leaves this machine; `patchcord simulate` plays a call");
        app.serve(stop_asked()).await
    })
}

/// Turns whatever is configured into something that reaches nobody.
fn for_dev(mut settings: Settings) -> anyhow::Result<Settings> {
    let address: SocketAddr = settings.server.bind.parse().context("server.bind")?;
    if !address.ip().is_loopback() {
        bail!(ConfigError::Value {
            key: "server.bind",
            expected:
                "`patchcord dev` has a known password: expected a loopback address like `127.0.0.1:8080`"
                    .to_owned(),
        });
    }
    settings.effects.mode = EffectsMode::Outbox;
    if settings.store.url == STORE_DEFAULT {
        STORE_DEV.clone_into(&mut settings.store.url);
    }
    ACCOUNT_SID.clone_into(&mut settings.twilio.account_sid);
    settings.twilio.auth_token = Secret::new(AUTH_TOKEN.to_owned());
    if settings.twilio.from_number.is_empty() {
        demo::OUR_NUMBER.clone_into(&mut settings.twilio.from_number);
    }
    if settings.twilio.dial_to.is_empty() {
        settings.twilio.routing = Routing::Dial;
        demo::AGENT_NUMBER.clone_into(&mut settings.twilio.dial_to);
    }
    Ok(settings)
}
