//! `patchcord simulate`: a Twilio stand-in that speaks the whole protocol over a running server's real doors.
//!
//! It knows nothing of the server's inside: it signs webhooks, reads TwiML, sends media frames, and watches the live
//! stream as a supervisor does. Whatever it shows went through the doors.

mod args;
mod audio;
mod call;
mod demonstration;
mod doors;
mod media;
mod outbox;
mod outcome;
mod print;
mod session;
mod sms;
mod summary;
mod twiml;
mod watch;

pub use args::{Arguments, Ending};
pub use call::{Cast, play};
pub use demonstration::{demonstrate, demonstrate_sms};
pub use doors::{Account, Doors};
pub use outcome::SimulateError;
pub use session::run;
pub use sms::send as write;
