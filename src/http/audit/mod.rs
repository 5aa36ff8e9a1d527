//! The audit log: every change that a person or a key makes through the API is written down here, whatever handler makes it.

mod looking;
mod secrets;
mod writing;

pub use writing::{Auditing, Before, REQUEST_ID_CHARS_MAX, audited};
