//! The store of a cluster: ScyllaDB, or any CQL server that has lightweight transactions.
//!
//! `address` says where it is; `connection` keeps a way to it; `session` prepares and asks; `migrate` brings the tables up to date; `lwt` carries out
//! conditional writes, whose outcome may be unknown; `values` and `errors` say how things look in a column and in an error;
//! `buckets` and `marks` keep what is found by time; then one file per aggregate, named like the trait's. The only place with CQL.
//! `docs/adr/0007-the-data-model-in-cql.md` gives the tables and their reasons.

mod address;
mod buckets;
mod connection;
mod database;
mod errors;
mod lwt;
mod marks;
mod migrate;
mod open;
mod session;
mod values;

mod claims;
mod expiries;
mod fields;
mod import;
mod people;
mod positions;
mod revised;
mod rows;

mod accounts;
mod alerts;
mod audit;
mod calls;
mod calls_open;
mod contact_tally;
mod contacts;
mod keyring;
mod lead_edits;
mod lead_index;
mod lead_merges;
mod lead_phones;
mod leads;
mod leases;
mod messages;
mod numbers;
mod observations;
mod resources;
mod run_history;
mod run_index;
mod run_list;
mod run_rows;
mod runs;
mod schedules;
mod sessions;
mod tasks;
mod timers;
mod webhooks;
mod workflows;

#[cfg(test)]
mod tests;

pub use address::Address;
pub use import::Importer;
pub use open::{open, open_to_copy, steps_left};
