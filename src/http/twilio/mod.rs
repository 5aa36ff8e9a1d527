//! Twilio's doors.

pub mod routes;
pub mod signature;
pub mod twiml;

mod answer;
mod callbacks;
mod keep;
mod lateness;
mod media;
mod number_routing;
mod placed;
mod request;
mod room;
mod routing;
mod sms;
mod stream_message;
mod voice;

pub use request::account as account_of;
pub use routes::router;
