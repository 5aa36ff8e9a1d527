//! E-mail: one message, two ways to send it. `send` is the port, `smtp` and `sendgrid` are the ways.

mod address;
mod connection;
mod message;
mod send;
mod sendgrid;
mod settings;
mod smtp;

pub use address::{SmtpAddress, Tls};
pub use message::message_id_of;
pub use send::{Email, SetupError};
pub use settings::{EmailProvider, EmailSettings, SendgridSettings};
