//! The integrations against servers of our own that answer as we tell them: refusals, faults, lost answers, redirects.
//!
//! What we send is judged elsewhere by the vendors' own descriptions (`tests/it/integrations_twilio.rs`).

mod addresses;
mod email;
mod fake;
mod house;
mod keep_alive;
mod leads;
mod slack;
mod twilio_calls;
mod twilio_sms;
mod webhooks;
