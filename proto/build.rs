//! Compiles the protos in pure Rust: no protoc is needed.

use prost::Message as _;

const FILES: [&str; 4] = [
    "lull/device/v1/device.proto",
    "lull/fleet/v1/fleet.proto",
    "lull/local/v1/local.proto",
    "lull/push/v1/push.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=lull");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("lull_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
