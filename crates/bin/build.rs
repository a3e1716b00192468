//! Packs the relocations of the static binary, which are half a megabyte otherwise, all of it read at each start.
//! musl can unpack them since 1.2.4, and glibc since 2.36 only, so that no other binary has them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "musl") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
