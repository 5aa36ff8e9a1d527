//! The node kinds, one a file. Adding one is its file, its `mod` line and its line in `registry`.

mod alert;
mod condition;
mod create_task;
mod delay;
mod kind;
mod registry;
mod send_sms;
mod slack_message;
mod source;
mod webhook;

pub use kind::{Action, Entered, Node, NodeError, NodeKind, Scene};
pub use registry::{KindInfo, catalogue, kind, names};
pub use source::{Condition, Source, SourceKind, Template};
