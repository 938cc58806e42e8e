//! The build script: rebuilds the binary when a definition that it embeds changes, which the compiler cannot see.

#[expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() {
    println!("cargo:rerun-if-changed=extractors");
    println!("cargo:rerun-if-changed=queries");
}
