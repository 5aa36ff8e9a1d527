//! The embedded store: SQLite with one writer thread that commits many writes together.
