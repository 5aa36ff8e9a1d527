//! The words of the product: plain types without I/O, clock or async.
//!
//! Everything else imports these; they import nothing of ours.

pub mod address_blocks;
pub mod agent;
pub mod alert;
pub mod appointment;
pub mod audio;
pub mod audit;
pub mod call;
pub mod consent;
pub mod contact_caps;
pub mod csv;
pub mod email;
pub mod erasure;
pub mod hex;
pub mod ids;
pub mod lead;
pub mod lead_import;
pub mod message;
pub mod number;
pub mod observation;
pub mod payment;
pub mod phone;
pub mod quote;
pub mod redaction;
pub mod resource;
pub mod retention;
pub mod run;
pub mod sealing;
pub mod secret;
pub mod sentiment;
pub mod shard;
pub mod signing;
pub mod sms_segments;
pub mod task;
pub mod time;
pub mod tokens;
pub mod totp;
pub mod trace;
pub mod transcript;
pub mod webhook_rule;
