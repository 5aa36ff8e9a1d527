//! Every door: Twilio, the REST API, the live stream.

pub mod twilio;
