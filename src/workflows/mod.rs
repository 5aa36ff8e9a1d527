//! The workflow core: definitions, the pure step, validation.
