//! Which address is which door.

use std::sync::Arc;

use axum::{
    Extension, Router,
    routing::{get, post},
};

use super::{callbacks, media::media, placed, room, sms, voice};
use crate::{http::context::Context, integrations::twilio::media_pass::UsedPasses};

/// Returns Twilio's doors.
pub fn router() -> Router<Context> {
    Router::new()
        .route("/twilio/voice", post(voice::voice))
        .route("/twilio/placed", post(placed::placed))
        .route("/twilio/dial", post(voice::dial))
        .route("/twilio/room", post(room::room))
        .route("/twilio/leg", post(room::leg))
        .route("/twilio/missed", post(voice::missed))
        .route("/twilio/status", post(callbacks::status))
        .route("/twilio/amd", post(callbacks::amd))
        .route("/twilio/recording", post(callbacks::recording))
        .route("/twilio/stream", post(callbacks::stream))
        .route("/twilio/sms", post(sms::inbound))
        .route("/twilio/sms/status", post(sms::status))
        .route("/twilio/media/{token}", get(media))
        .layer(Extension(Arc::new(UsedPasses::default())))
}
