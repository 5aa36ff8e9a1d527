//! Everything alive: calls, leads, runs, timers, effects.

pub mod asr;
pub mod hearing;
