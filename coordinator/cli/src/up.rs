//! `lull up`: (placeholder while the daemons land).
pub(crate) mod daemon;
pub(crate) mod folder;
#[path = "demo/network.rs"]
mod network;
pub(crate) mod settings;
pub(crate) fn run(
    _: &crate::command::Global,
    _: &crate::command::Up,
    _: &crate::output::Output,
) -> Result<(), crate::failure::Failure> {
    Ok(())
}
