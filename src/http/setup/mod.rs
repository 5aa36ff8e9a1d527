//! What has to stand before real calls come in, looked at one by one: for the Setup page and for `patchcord doctor`.

pub mod finding;
pub mod public_address;
pub mod twilio_account;

mod keeping;
mod media_stream;
mod numbers;
mod used;

pub mod checks;
pub mod facts;

pub use facts::{KeyPlace, SetupFacts, StorePlace};
pub use finding::Finding;
pub use keeping::BACKUP;
