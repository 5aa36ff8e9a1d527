//! What other services post to our incoming webhooks, read in their own words: one file a service.
//!
//! In: headers and the bytes of a body. Out: the event that it is with us and what is known about it, or why it is refused. Whoever
//! posts signs with a secret where the service has one; the bytes are checked as they came.

mod calendly;
mod form;
mod money;
mod shopify;
mod signature;
mod stripe;
mod translate;

pub use translate::{Arrived, Refusal, Source, Translated, check_signature, translate};
