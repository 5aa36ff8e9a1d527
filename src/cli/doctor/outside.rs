//! What lies outside: Twilio, our own address as the outside sees it, the time.

use std::{net::SocketAddr, time::Duration};

use reqwest::Method;
use serde::Deserialize;
use url::{Host, Url};

use super::Finding;
use crate::{
    clock,
    config::Settings,
    domain::time::Timestamp,
    integrations::{
        address_guard::AllowList,
        client::{self, HttpClient, Reply},
        twilio::{TwilioRest, rest::RestError},
    },
};

/// How far our clock may be from another one. An answer takes a moment, and its date is in whole seconds.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(10);

/// Asks Twilio for the account. Returns Twilio's time too.
pub(super) async fn twilio(settings: &Settings) -> (Finding, Option<Timestamp>) {
    if settings.twilio.account_sid.is_empty() {
        let why = "twilio.account_sid is not set: no call and no message is taken or sent";
        return (Finding::Skipped(why.to_owned()), None);
    }
    let base = &settings.twilio.api_base;
    let http = match HttpClient::new(AllowList::default()) {
        Ok(http) => http,
        Err(error) => return (no_client(error), None),
    };
    let rest = match TwilioRest::new(http, &settings.twilio) {
        Ok(rest) => rest,
        Err(error) => return (Finding::failed(error, "correct twilio.api_base"), None),
    };
    match rest.account().await {
        Ok((account, at)) => {
            let kind = account.kind.map(|kind| format!(", {kind}")).unwrap_or_default();
            let said = format!("the account is {}{kind}", account.status);
            let finding = match account.status.as_str() {
                "active" => Finding::Good(said),
                _ => Finding::failed(said, "see to the account in Twilio's console"),
            };
            (finding, at)
        }
        Err(error) => (refused(&error, base), None),
    }
}

fn refused(error: &RestError, base: &str) -> Finding {
    match error {
        RestError::Refused {
            status: 401 | 403, ..
        } => Finding::failed(
            format!("the credentials are refused: {error}"),
            "set twilio.account_sid and twilio.auth_token as Twilio's console shows them",
        ),
        RestError::Refused { .. } => Finding::failed(
            error,
            "set twilio.account_sid to the account's own, as Twilio's console shows it",
        ),
        RestError::Unreached(_) | RestError::Unknown(_) => Finding::failed(
            error,
            format!("let this machine reach {base}, or correct twilio.api_base"),
        ),
    }
}

/// Asks our own address for its health. Returns the time of whoever answered.
pub(super) async fn public_url(settings: &Settings) -> (Finding, Option<Timestamp>) {
    let public = &settings.server.public_url;
    if public.is_empty() {
        let finding = if settings.twilio.account_sid.is_empty() {
            Finding::Skipped("server.public_url is not set".to_owned())
        } else {
            Finding::failed(
                "server.public_url is not set: Twilio cannot reach this server",
                "set it to the address in Twilio's console, `https://…`",
            )
        };
        return (finding, None);
    }
    let http = match HttpClient::new(AllowList::default()) {
        Ok(http) => http,
        Err(error) => return (no_client(error), None),
    };
    let answer = match get(&http, public, "/livez").await {
        Ok(reply) => reply,
        Err(said) => {
            let fix = "start the server and the proxy in front of it, or correct server.public_url";
            return (Finding::failed(said, fix), None);
        }
    };
    let at = answer.date();
    (judged(&http, settings, &answer).await, at)
}

/// Whether what answered is this server, over TLS.
async fn judged(http: &HttpClient, settings: &Settings, answer: &Reply) -> Finding {
    let public = &settings.server.public_url;
    let lives = serde_json::from_slice::<Word>(&answer.body).is_ok_and(|word| word.status == "ok");
    if answer.status != 200 || !lives {
        return Finding::failed(
            format!(
                "{public}/livez answers {}, and not as patchcord does",
                answer.status
            ),
            "let the proxy pass everything on to server.bind",
        );
    }
    // On one box the process behind the address is the one that listens here.
    if !settings.store.is_shared()
        && let (Some(here), Some(there)) = (
            health(http, &local(&settings.server.bind)).await,
            health(http, public).await,
        )
        && here.started_at != there.started_at
    {
        return Finding::failed(
            format!(
                "{public} is another server than the one at {}",
                settings.server.bind
            ),
            "let the proxy pass on to server.bind, or correct server.public_url",
        );
    }
    let url = Url::parse(public).ok();
    let is_loopback = url.as_ref().is_some_and(is_loopback);
    if public.starts_with("https://") {
        Finding::Good(format!("{public} answers"))
    } else if is_loopback {
        Finding::Good(format!(
            "{public} answers; nobody outside this machine reaches it"
        ))
    } else {
        Finding::failed(
            format!("{public} answers without TLS: passwords and calls travel in the clear"),
            "put a proxy with a certificate in front and set server.public_url to `https://…`",
        )
    }
}

/// Compares our clock with another one.
pub(super) fn clock(other: Option<Timestamp>) -> Finding {
    let Some(other) = other else {
        return Finding::Skipped("nobody outside told the time".to_owned());
    };
    let now = clock::now();
    let apart = now.since(other).max(other.since(now));
    let said = format!("{} s from theirs", apart.as_secs());
    if apart <= CLOCK_SKEW_MAX {
        Finding::Good(said)
    } else {
        Finding::failed(said, "let NTP set this machine's clock")
    }
}

#[derive(Deserialize)]
struct Word {
    status: String,
}

#[derive(Deserialize)]
struct Health {
    started_at: String,
}

async fn health(http: &HttpClient, base: &str) -> Option<Health> {
    let reply = get(http, base, "/healthz").await.ok()?;
    serde_json::from_slice(&reply.body).ok()
}

async fn get(http: &HttpClient, base: &str, path: &str) -> Result<Reply, String> {
    let url = Url::parse(&format!("{base}{path}")).map_err(|error| format!("{base}: {error}"))?;
    let sent = client::send(http.configured(Method::GET, url)).await;
    sent.map_err(|error| error.to_string())
}

/// The address of `bind` for this machine.
fn local(bind: &str) -> String {
    match bind.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
        Ok(_) | Err(_) => format!("http://{bind}"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn no_client(error: impl std::fmt::Display) -> Finding {
    Finding::failed(
        error,
        "install the machine's root certificates (`ca-certificates`)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_seconds_off_and_not_more() {
        assert!(matches!(clock(None), Finding::Skipped(_)));
        assert!(matches!(clock(Some(clock::now())), Finding::Good(_)));
        for skew_s in [-60, 60] {
            let off = clock::now()
                .as_unix_millis()
                .saturating_add_signed(skew_s * 1_000);
            let found = clock(Some(Timestamp::from_unix_millis(off)));
            assert!(matches!(found, Finding::Failed { .. }), "{found:?}");
        }
    }

    #[test]
    fn an_address_for_everybody_is_asked_on_this_machine() {
        assert_eq!(local("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(local("10.0.0.3:8080"), "http://10.0.0.3:8080");
        assert_eq!(local("[::1]:8080"), "http://[::1]:8080");
    }
}
