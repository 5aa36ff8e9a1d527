//! Everything alive: calls, leads, runs, timers, effects.
