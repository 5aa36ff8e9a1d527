//! `patchcord serve`: the server, until it is told to stop.

use std::{future::Future, path::Path, time::Duration};

use anyhow::Context as _;
use serde_json::json;

use crate::{
    app::App,
    clock,
    config::{self, Settings},
    domain::secret::Secret,
    http::auth::session::{self, NewPerson},
    integrations::client::for_collector,
    telemetry,
};

/// Asks for a line that programs can read, with everything needed to sign in. For tests and scripts.
const READY_LINE: &str = "PATCHCORD_READY_LINE";

/// How often, and how far apart, a node that could not make the first account looks whether another has.
const LOOKS_FOR_ACCOUNT: u32 = 10;
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Runs the server with the configuration in `config`.
///
/// # Errors
/// When the configuration is wrong, the address taken, or the server fails.
pub fn run(config: Option<&Path>) -> anyhow::Result<()> {
    let settings = config::load(config)?;
    with_runtime(async move {
        let app = build(settings.clone()).await?;
        let admin = first_admin(&app, &settings).await?;
        announce(&app, admin.as_ref()).await?;
        app.serve(stop_asked()).await
    })
}

/// Runs `work` on the server's runtime.
///
/// # Errors
/// Those of `work`, and when no threads can be made.
pub(super) fn with_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    anyhow::ensure!(
        clock::MAY_BE_AHEAD || std::env::var_os(clock::AHEAD).is_none(),
        "{}: only a test build sets its clock ahead; take it out of the environment",
        clock::AHEAD
    );
    telemetry::init_logs()?;
    // Chosen once for the process: every TLS connection uses it. An error means that it was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads")?;
    runtime.block_on(work)
}

/// Builds the app inside the runtime.
///
/// # Errors
/// See [`App::build`].
pub(super) async fn build(settings: Settings) -> anyhow::Result<App> {
    let metrics = telemetry::init_metrics()?;
    let patience = Duration::from_secs(settings.telemetry.otlp_timeout_s);
    telemetry::start_traces(&settings.telemetry, for_collector(patience)?)?;
    App::build(settings, metrics).await
}

/// Who can sign in after the start.
pub(super) struct Admin {
    pub email: String,
    pub password: Secret,
}

/// Makes the admin of the configuration on an empty store.
async fn first_admin(app: &App, settings: &Settings) -> anyhow::Result<Option<Admin>> {
    if settings.admin.email.is_empty() {
        return Ok(None);
    }
    let admin = Admin {
        email: settings.admin.email.clone(),
        password: settings.admin.password.clone(),
    };
    if app.store.accounts.first_account().await?.is_none()
        && let Err(refused) = create_owner(app, &admin, "My team").await
        && !another_made_it(app).await?
    {
        return Err(refused);
    }
    Ok(Some(admin))
}

/// Whether a node that started on the same empty store at the same moment has made the first account, or is about to.
async fn another_made_it(app: &App) -> anyhow::Result<bool> {
    for _ in 0..LOOKS_FOR_ACCOUNT {
        if app.store.accounts.first_account().await?.is_some() {
            return Ok(true);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Ok(false)
}

/// Creates the first account with its owner.
///
/// # Errors
/// When e-mail or password cannot be used, or the store does not answer.
pub(super) async fn create_owner(app: &App, admin: &Admin, account: &str) -> anyhow::Result<()> {
    let person = NewPerson {
        email: admin.email.clone(),
        name: "Owner".to_owned(),
        password: admin.password.clone(),
    };
    session::create_owner(&app.store, account, person)
        .await
        .context("admin.email and admin.password")?;
    Ok(())
}

/// Says where the server is and how to get in.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn announce(app: &App, admin: Option<&Admin>) -> anyhow::Result<()> {
    let url = app.url();
    println!("patchcord is listening on {url}");
    if app.store.accounts.first_account().await?.is_none() {
        let token = app.context.gate.setup.open()?;
        println!("first admin: {url}/setup?token={}", token.expose());
    }
    if std::env::var(READY_LINE).is_ok_and(|value| value == "1") {
        let mut ready = json!({ "url": url, "email": "", "password": "", "access_token": "" });
        if let Some(admin) = admin
            && let Some(user) = app.store.accounts.user_by_email(&admin.email).await?
        {
            let tokens = app.context.gate.sign_in(user.id, user.account_id).await?;
            ready = json!({
                "url": url,
                "email": admin.email,
                "password": admin.password.expose(),
                "access_token": tokens.access_token,
            });
        }
        println!("PATCHCORD_READY {ready}");
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
pub(super) async fn stop_asked() {
    let interrupt = tokio::signal::ctrl_c();
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM is not watched");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        _ = interrupt => (),
        () = terminate => (),
    }
    tracing::info!("stopping");
}
