//! What every store must do, as tests over `Store` alone: each implementation runs the same ones through [`suite`].
//!
//! One file per aggregate, one function per fact. A new implementation calls `conformance::suite!(open)` in its own tests, where
//! `open()` gives, in its own time, a value with a field `store` on an empty database, or `None` where there is nothing to test on.

pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod contacts;
pub(crate) mod erasing;
pub(crate) mod isolation;
pub(crate) mod keyring;
pub(crate) mod lead_merges;
pub(crate) mod lead_search;
pub(crate) mod leads;
pub(crate) mod observations;
pub(crate) mod paging;
pub(crate) mod people;
pub(crate) mod records;
pub(crate) mod resources;
pub(crate) mod runs;
pub(crate) mod samples;
pub(crate) mod schedules;
mod suite;
pub(crate) mod walking;
pub(crate) mod webhooks;
pub(crate) mod workflows;

pub(crate) use suite::suite;
