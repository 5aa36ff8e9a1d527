//! Live facts to whoever watches: what `/ws/supervisor` sends. Also what nodes share and may lose: Redis.

pub mod live;
pub mod local;
pub mod redis;
mod ring;
