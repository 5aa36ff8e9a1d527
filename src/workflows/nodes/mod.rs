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
mod split;
mod stop;
mod switch;
mod webhook;

pub use kind::{Action, Entered, Node, NodeError, NodeKind, RunFacts, Scene};
pub use registry::{KindInfo, catalogue, kind, names};
pub use source::{Condition, Filter, Source, SourceKind, Template, ValueExpression};
