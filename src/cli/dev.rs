//! `patchcord dev`: a server for a first look. Loopback only, demo data, every provider replaced by the outbox.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, bail};

use super::{
    demo::{self, ACCOUNT_SID, AUTH_TOKEN, EMAIL, PASSWORD},
    serve::{Admin, announce, build, create_owner, stop_asked, with_runtime},
    simulate,
};
use crate::{
    actors::settings::EffectsMode,
    app::App,
    clock,
    config::{self, ConfigError, Settings},
    domain::secret::Secret,
    http::{SimulatedEnding, Simulation, Simulator},
    integrations::twilio::Routing,
};

/// Where `serve` keeps its store when nobody says; the demo must not write there.
const STORE_DEFAULT: &str = "sqlite:data/patchcord.db";
/// What `gate.quiet_hours` and `twilio.messages_per_s` are when nobody says.
const QUIET_HOURS_DEFAULT: &str = "21:00-08:00";
const MESSAGES_PER_S_DEFAULT: u32 = 1;
const STORE_DEV: &str = "sqlite:data/dev.db";
/// How long the printed address of the live view signs a browser in, once.
const TICKET_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Runs the demo server.
///
/// # Errors
/// When the configuration is wrong or not loopback, the address taken, or the server fails.
pub fn run(config: Option<&Path>) -> anyhow::Result<()> {
    let settings = for_dev(config::load(config)?)?;
    let is_quiet_at_night = !settings.gate.quiet_hours.is_empty();
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
        offer_simulations(&app)?;
        announce(&app, Some(&admin)).await?;
        announce_live_view(&app, &admin).await?;
        println!("sign in: {EMAIL} / {PASSWORD}");
        println!("outbox mode: no message leaves this machine; `patchcord simulate` plays a call");
        if !is_quiet_at_night {
            println!(
                "quiet hours are off here (PATCHCORD_GATE__QUIET_HOURS=21:00-07:59 turns them on); `serve` keeps them"
            );
        }
        app.serve(stop_asked()).await
    })
}

/// Prints the address of the live view with a ticket that signs one browser in.
async fn announce_live_view(app: &App, admin: &Admin) -> anyhow::Result<()> {
    let user = app.store.accounts.user_by_email(&admin.email).await?;
    // Another store may have been filled by `serve`, without the demo's user.
    if let Some(user) = user {
        let tickets = app.context.gate.sign_in_tickets();
        let ticket = tickets.issue(user.id, clock::now(), TICKET_LIFE)?;
        println!("live view: {}/#ticket={}", app.url(), ticket.expose());
    }
    Ok(())
}

/// Lets people play the demonstration call, and text messages, from the browser.
fn offer_simulations(app: &App) -> anyhow::Result<()> {
    let account = simulate::Account {
        sid: ACCOUNT_SID.to_owned(),
        token: Secret::new(AUTH_TOKEN.to_owned()),
    };
    let doors = simulate::Doors::new(&app.url(), Some(&app.context.settings.public_url), account)?;
    let simulator: Simulator = Box::new(move |simulation| {
        let doors = doors.clone();
        Box::pin(async move {
            let played = match simulation {
                Simulation::Call(ending) => simulate::demonstrate(&doors, ending_of(ending)).await,
                Simulation::Sms(text) => simulate::demonstrate_sms(&doors, &text).await,
            };
            if let Err(error) = played {
                tracing::warn!(%error, "simulation failed");
            }
        })
    });
    drop(app.context.simulator.set(simulator));
    Ok(())
}

const fn ending_of(ending: SimulatedEnding) -> simulate::Ending {
    match ending {
        SimulatedEnding::Completed => simulate::Ending::Completed,
        SimulatedEnding::NoAnswer => simulate::Ending::NoAnswer,
        SimulatedEnding::Busy => simulate::Ending::Busy,
        SimulatedEnding::Failed => simulate::Ending::Failed,
        SimulatedEnding::Voicemail => simulate::Ending::Voicemail,
    }
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
    if settings.gate.quiet_hours == QUIET_HOURS_DEFAULT {
        // Nobody is reached, so nobody is woken: a first look at night should show more than what is held back.
        settings.gate.quiet_hours.clear();
    }
    if settings.twilio.messages_per_s == MESSAGES_PER_S_DEFAULT {
        // No carrier, no carrier's rate.
        settings.twilio.messages_per_s = 0;
    }
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
