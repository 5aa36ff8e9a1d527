//! A release build takes the pages in and compiles again when they were built anew; a debug build reads them from disk.

fn main() {
    let pages = if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        "web/dist"
    } else {
        "build.rs"
    };
    println!("cargo:rerun-if-changed={pages}");
}
