//! Reads the configuration: compiled-in defaults, a file, the environment.
