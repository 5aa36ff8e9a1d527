//! Twilio: settings, and what we ask of its REST API.

pub mod addresses;
pub mod callback_token;
pub mod calls;
pub mod doors;
pub mod error_catalogue;
pub mod line;
pub mod media_pass;
pub mod numbers;
pub mod participants;
pub mod port;
pub mod probe;
pub mod rest;
pub mod settings;
pub mod sms;
pub mod words;

pub use calls::TwilioCalls;
pub use error_catalogue::{ErrorClass, means_opted_out};
pub use line::TwilioLine;
pub use probe::{Doors, TwilioProbe};
pub use rest::TwilioRest;
pub use settings::{Routing, TwilioSettings};
pub use sms::TwilioSms;
