//! What the composition root knows of this server's keeping that no other part needs.

use std::path::PathBuf;

/// What the checks are told about this process.
#[derive(Debug, Clone)]
pub struct SetupFacts {
    /// Whether effects reach anybody, or end in the built-in outbox.
    pub is_live: bool,
    pub key: KeyPlace,
    pub store: StorePlace,
}

/// Where the master key is kept.
#[derive(Debug, Clone)]
pub enum KeyPlace {
    /// In the settings: whoever set it keeps it.
    Settings,
    File(PathBuf),
}

/// What the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePlace {
    /// One file that `patchcord backup` copies.
    File,
    /// A database that several nodes share, with tools of its own.
    Database,
}
