//! Twilio's doors.

pub mod signature;
pub mod stream_message;
pub mod token;
pub mod twiml;
