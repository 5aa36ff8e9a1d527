//! Twilio's side of the doors: signed requests. Signs by itself, so that it also judges our own signature code.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Response, StatusCode};
use sha1::Sha1;

use super::{api::http, server::Server};

/// The account every test server belongs to: the one that `patchcord dev` answers for, so that both modes are reached alike.
pub const ACCOUNT_SID: &str = "AC5eed5eed5eed5eed5eed5eed5eed5eed";
/// Its auth token.
pub const AUTH_TOKEN: &str = "dev-auth-token-for-loopback-only";

/// Returns `X-Twilio-Signature` for a form POST to `url`: HMAC-SHA1 over the address and the sorted parameters.
#[must_use]
pub fn signature(token: &str, url: &str, params: &[(&str, &str)]) -> String {
    let mut sorted: Vec<_> = params.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).expect("a MAC takes keys of any length");
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A call's id from a number, so that tests read well.
#[must_use]
pub fn call_sid(number: u32) -> String {
    format!("CA{number:032x}")
}

/// What every report about an inbound call says.
const fn inbound<'a>(sid: &'a str, from: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("CallSid", sid),
        ("From", from),
        ("To", "+15550001111"),
        ("Direction", "inbound"),
    ]
}

impl Server {
    /// Sends a signed webhook. `AccountSid` is added when `params` do not name one.
    ///
    /// # Panics
    /// When the server does not answer at all.
    pub async fn webhook(&self, path: &str, params: &[(&str, &str)]) -> Response {
        let mut params = params.to_vec();
        if !params.iter().any(|(name, _)| *name == "AccountSid") {
            params.push(("AccountSid", ACCOUNT_SID));
        }
        let signature = signature(AUTH_TOKEN, &self.at(path), &params);
        self.webhook_with_signature(path, &params, &signature).await
    }

    /// Sends a webhook with whatever signature the test wants.
    pub async fn webhook_with_signature(
        &self,
        path: &str,
        params: &[(&str, &str)],
        signature: &str,
    ) -> Response {
        http()
            .post(self.at(path))
            .header("X-Twilio-Signature", signature)
            .form(params)
            .send()
            .await
            .expect("the server answers")
    }

    /// Reports that the inbound call `sid` from `from` rings, as Twilio does.
    pub async fn begin_call(&self, sid: &str, from: &str) {
        let mut voice = inbound(sid, from).to_vec();
        voice.extend([("CallStatus", "ringing"), ("ApiVersion", "2010-04-01")]);
        assert_eq!(
            self.webhook("/twilio/voice", &voice).await.status(),
            StatusCode::OK
        );
    }

    /// Reports that the inbound call `sid` from `from` rang out, as Twilio does: the voice request, then the callback.
    pub async fn report_no_answer(&self, sid: &str, from: &str) {
        self.begin_call(sid, from).await;
        let call = inbound(sid, from);
        let mut status = call.to_vec();
        status.extend([
            ("CallStatus", "no-answer"),
            ("SequenceNumber", "1"),
            ("CallbackSource", "call-progress-events"),
        ]);
        let answer = self.webhook("/twilio/status", &status).await;
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}
