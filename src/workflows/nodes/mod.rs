//! The node kinds, one a file. Adding one is its file, its `mod` line and its line in `registry`.

mod alert;
mod assign_lead;
mod calendar_event;
mod condition;
mod create_task;
mod delay;
mod find_leads;
mod for_each;
mod kind;
mod merge;
mod phone_params;
mod place_call;
mod registry;
mod run_workflow;
mod score_lead;
mod script;
mod send_email;
mod send_sms;
mod sheet_row;
mod slack_message;
mod source;
mod split;
mod stop;
mod stripe_coupon;
mod stripe_credit;
mod switch;
mod update_lead;
mod values;
mod wait_for;
mod webhook;
mod zapier;

pub use find_leads::FOUND_MAX;
pub use kind::{Action, Awaited, Entered, MergeMode, Node, NodeError, NodeKind, Pace, RunFacts, Scene, Wait};
pub use registry::{KindInfo, catalogue, kind, names};
pub use script::scripts_of;
pub use source::{Condition, Filter, Source, SourceKind, Template, ValueExpression};
