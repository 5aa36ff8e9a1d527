//! Compiles again when the pages in the browser were built anew: release builds take them in.

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
}
