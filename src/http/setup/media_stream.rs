//! Whether a call's audio can reach us: a stream is opened through the public address, signed as Twilio signs, and let go at once.

use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use url::Url;

use super::Finding;
use crate::{
    clock,
    domain::{
        audio::Speaker,
        ids::{AccountSid, CallSid},
    },
    http::{
        context::Context,
        twilio::signature::{self, Payload, SIGNATURE_HEADER},
    },
    integrations::{
        client,
        twilio::{addresses::Addresses, media_pass::MediaPass},
    },
};

/// The call whose stream it would be: nobody's.
const NO_CALL: &str = "CA00000000000000000000000000000000";
/// Any 16 bytes in base64: the answer to it is not looked at.
const KEY: &str = "cGF0Y2hjb3JkIHNldHVwIQ==";
const SWITCHING_PROTOCOLS: u16 = 101;

/// Opens a stream as Twilio does.
pub(super) async fn look(context: &Context) -> Finding {
    let account = AccountSid::new(context.twilio.account_sid.clone());
    let now = clock::now();
    let pass = MediaPass::fresh(account, CallSid::new(NO_CALL), Speaker::Customer, now);
    let path = format!("/twilio/media/{}", pass.seal(&context.signing_keys.borrow(), now));
    let public = &context.settings.public_url;
    let socket = Addresses(public).socket(&path);
    let shown = Addresses(public).socket("/twilio/media");
    let fix =
        "let the proxy pass WebSockets on (the headers Upgrade and Connection, HTTP/1.1) for /twilio/media";
    let Ok(url) = Url::parse(&Addresses(public).at(&path)) else {
        return Finding::failed(format!("{public} is no address"), "correct server.public_url");
    };
    let signature = signature::sign(&context.twilio.auth_token, &socket, Payload::Nothing);
    let request = match client::http_1(url) {
        Ok(request) => request
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, KEY)
            .header(SIGNATURE_HEADER, signature),
        Err(error) => {
            return Finding::failed(
                error,
                "install the machine's root certificates (`ca-certificates`)",
            );
        }
    };
    match client::status(request).await {
        Ok(SWITCHING_PROTOCOLS) if socket.starts_with("wss:") => {
            Finding::Good(format!("{shown} takes a stream"))
        }
        Ok(SWITCHING_PROTOCOLS) => Finding::failed(
            format!("{shown} takes a stream, and Twilio opens wss: addresses only"),
            "set server.public_url to `https://…`",
        ),
        Ok(status) => Finding::failed(format!("{shown} answers {status} and opens no stream"), fix),
        Err(error) => Finding::failed(format!("{shown}: {error}"), fix),
    }
}
