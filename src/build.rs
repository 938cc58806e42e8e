//! The build script: rebuilds the binary when a definition that it embeds changes, which the compiler cannot see.

fn main() {
    println!("cargo:rerun-if-changed=extractors");
    println!("cargo:rerun-if-changed=queries");
}
