//! What the integration tests share: a running server, its doors, and ways to wait for facts.

pub mod api;
pub mod cluster;
pub mod collector;
pub mod cql;
pub mod dice;
pub mod eventually;
pub mod figures;
pub mod floor;
pub mod line;
pub mod load;
pub mod mail;
pub mod media_socket;
pub mod prism;
pub mod provider;
pub mod redis;
pub mod rooms;
pub mod server;
pub mod sink;
pub mod twilio;
