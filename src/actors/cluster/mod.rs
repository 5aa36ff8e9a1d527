//! Several nodes: which shards this one acts for, and how it reaches the others.

pub mod answering;
pub mod household;
pub mod keeper;
#[cfg(test)]
pub(crate) mod memory_leases;
pub mod neighbours;
pub mod ownership;
pub mod settings;
pub mod signature;
pub mod spread;
pub mod takeover;
pub mod words;

pub use answering::{Answering, Letter};
pub use ownership::{Owner, Ownership};
pub use settings::ClusterSettings;
