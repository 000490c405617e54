//! `lull recording`: what this machine's node has recorded, as a file for `lull replay` and `lull what-if`.
//!
//! Deliberately absent: reading it.

use lull_proto::local::v1::GetRecordingRequest;

use crate::command::Global;
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;

/// Runs the verb.
pub(crate) async fn run(global: &Global) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let answer = node.operator().get_recording(GetRecordingRequest {}).await;
    let mut pieces = answer.map_err(|status| node.failure(&status))?.into_inner();
    loop {
        let piece = pieces.message().await;
        match piece.map_err(|status| node.failure(&status))? {
            Some(piece) => Output::bytes(&piece.data)
                .map_err(|error| Failure::internal("cannot write the recording", &error.into()))?,
            None => return Ok(()),
        }
    }
}
