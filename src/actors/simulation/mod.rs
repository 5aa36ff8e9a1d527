//! The engine under a seeded simulator: the real core, actors, store, timers and effects on a virtual clock.
//!
//! `weather` makes the store fail and the process die, `provider` takes effects on and forgets to answer, `life` is one
//! process from its start to its death, `saga` plays lives until everything has ended, `verdict` judges what came of it.
//! A seed plays the same saga again: `PATCHCORD_SIM_SEED=17 cargo test --lib simulation`.

mod broken_run;
mod dice;
mod life;
mod provider;
mod saga;
mod three_days;
mod verdict;
mod weather;

mod tests;
