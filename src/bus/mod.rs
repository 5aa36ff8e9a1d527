//! Live facts to whoever watches: what `/ws/supervisor` sends.

pub mod live;
pub mod local;
