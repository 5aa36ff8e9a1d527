//! What a Twilio door answers: TwiML, also where Twilio does not read it.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::twiml::{self, Verb};

/// A TwiML document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twiml(String);

impl Twiml {
    /// Tells Twilio to carry out `verbs`.
    #[must_use]
    pub fn of(verbs: &[Verb]) -> Self {
        Self(twiml::document(verbs))
    }

    /// Tells Twilio that nothing is to be done.
    #[must_use]
    pub fn nothing() -> Self {
        Self::of(&[])
    }
}

impl IntoResponse for Twiml {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], self.0).into_response()
    }
}
