//! What lies outside: Twilio, our own address as the outside sees it, the time.

use std::{net::SocketAddr, time::Duration};

use crate::{
    clock,
    config::Settings,
    domain::time::Timestamp,
    http::setup::{Finding, public_address, twilio_account},
    integrations::{address_guard::AllowList, client::HttpClient, twilio::TwilioRest},
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
    twilio_account::look(&rest, base).await
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
    // On one box the process behind the address is the one that listens here.
    let here = if settings.store.is_shared() {
        None
    } else {
        public_address::started_at(&http, &local(&settings.server.bind)).await
    };
    public_address::look(&http, public, here.as_deref()).await
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

/// The address of `bind` for this machine.
fn local(bind: &str) -> String {
    match bind.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("http://127.0.0.1:{}", address.port()),
        Ok(_) | Err(_) => format!("http://{bind}"),
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
