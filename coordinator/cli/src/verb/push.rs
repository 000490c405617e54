//! `lull push`: sends a push, and with `--watch` follows it to its last receipt.

mod follow;
mod say;

pub(crate) use follow::Follower;
pub(crate) use say::receipt_words;

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use lull_proto::PUSH_LIMIT;
use lull_proto::push::v1::send_request::Target;
use lull_proto::push::v1::{LabelSelector, SendRequest, SendResponse};
use tonic::Code;

use crate::clock::Deadline;
use crate::command::{Global, Push};
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::output::Output;
use crate::view::ReceiptView;
use crate::words::count;

/// Runs the verb.
pub(crate) async fn run(global: &Global, push: Push, output: &Output) -> Result<(), Failure> {
    let request = request(&push)?;
    let deadline = Deadline::after(push.timeout);
    let coordinator = Coordinator::of(global).await?;
    let accepted = send(&coordinator, request).await?;
    say::accepted(&accepted, output);
    if !push.watch {
        return if accepted.devices == 0 {
            Err(nobody(&push))
        } else {
            Ok(())
        };
    }
    if accepted.devices == 0 {
        return Err(nobody(&push));
    }
    let endings = watch(&coordinator, &accepted, deadline, output).await?;
    verdict(&endings)
}

/// Hands a push to the coordinator; the answer comes when it is durable there.
pub(crate) async fn send(
    coordinator: &Coordinator,
    request: SendRequest,
) -> Result<SendResponse, Failure> {
    let key = request.deduplication_key.clone();
    match coordinator.push().send(Coordinator::request(request)).await {
        Ok(answer) => Ok(answer.into_inner()),
        // The push may or may not be durable: the same key makes a second send safe.
        Err(status)
            if status.code() == Code::Unavailable || status.code() == Code::DeadlineExceeded =>
        {
            let failure = coordinator.failure(&status);
            let causes = failure.causes().to_vec();
            Err(Failure::Unreachable {
                message: format!(
                    "{failure}; whether the push was accepted is not known: send it again with --dedup-key {key}, \
                     which stores it once"
                ),
                causes,
            })
        }
        Err(status) => Err(coordinator.failure(&status)),
    }
}

fn request(push: &Push) -> Result<SendRequest, Failure> {
    let payload = match (&push.payload, &push.payload_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => read_payload(path)?,
        (None, None) => Vec::new(),
    };
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let target = match &push.device {
        Some(device) => Target::Device(device.clone()),
        None => Target::Selector(LabelSelector {
            labels: push.labels().into_iter().collect(),
        }),
    };
    Ok(SendRequest {
        app: push.app.clone(),
        target: Some(target),
        payload: Bytes::from(payload),
        time_to_live: push.ttl.map(|ttl| lull_proto::time::duration(millis(ttl))),
        deduplication_key: push
            .dedup_key
            .clone()
            .unwrap_or_else(|| format!("lull-{}", uuid::Uuid::now_v7())),
        retention: 0,
    })
}

/// Reads a body, but never more than the coordinator could refuse.
fn read_payload(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.display().to_string();
    let wrong = |error: std::io::Error| Failure::Input(format!("--payload-file {name}: {error}"));
    let mut body = Vec::new();
    let bound = PUSH_LIMIT as u64 + 1;
    if name == "-" {
        std::io::stdin()
            .lock()
            .take(bound)
            .read_to_end(&mut body)
            .map_err(wrong)?;
    } else {
        let file = std::fs::File::open(path).map_err(wrong)?;
        file.take(bound).read_to_end(&mut body).map_err(wrong)?;
    }
    if body.len() > PUSH_LIMIT {
        return Err(Failure::Input(format!(
            "--payload-file {name}: more than {PUSH_LIMIT} bytes, which is the most a push carries; \
             send where the data is instead of the data"
        )));
    }
    Ok(body)
}

/// Follows a push until each device has its last receipt, printing each as it comes.
async fn watch(
    coordinator: &Coordinator,
    accepted: &SendResponse,
    deadline: Deadline,
    output: &Output,
) -> Result<Vec<ReceiptView>, Failure> {
    let mut follower = Follower::new(coordinator.clone(), &accepted.push_id, deadline);
    let chain = say::Chain::new(accepted, output.clone());
    let waiting = output.waiting(format!("accepted for {}", devices(accepted.devices)));
    let mut endings = Vec::new();
    while let Some(receipt) = follower.next().await? {
        waiting.pause(|| chain.print(&receipt));
        if receipt.terminal {
            endings.push(receipt.clone());
        }
        let left = u64::from(accepted.devices).saturating_sub(endings.len() as u64);
        waiting.say(format!(
            "{} still to end; last: {}",
            count(left, "device"),
            receipt_words(&receipt)
        ));
    }
    drop(waiting);
    chain.finish(&endings);
    Ok(endings)
}

fn devices(number: u32) -> String {
    count(u64::from(number), "device")
}

fn nobody(push: &Push) -> Failure {
    let labels: Vec<String> = push
        .label
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Failure::Refused(format!(
        "no enrolled device has the labels {} and nothing waits for anybody; `lull devices` lists labels",
        labels.join(" ")
    ))
}

/// Whether every device ran it to completion.
fn verdict(endings: &[ReceiptView]) -> Result<(), Failure> {
    let failed: Vec<&ReceiptView> = endings
        .iter()
        .filter(|end| end.outcome.as_deref() != Some("completed"))
        .collect();
    match failed.as_slice() {
        [] => Ok(()),
        [one] if endings.len() == 1 => Err(Failure::Refused(format!(
            "the push ended: {}",
            receipt_words(one)
        ))),
        many => Err(Failure::Refused(format!(
            "on {} of {} the push did not end with a completed run",
            many.len(),
            count(endings.len() as u64, "device")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn an_oversized_file_is_refused_before_it_is_sent() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'x'; PUSH_LIMIT]).unwrap();
        assert_eq!(read_payload(file.path()).unwrap().len(), PUSH_LIMIT);
        std::fs::write(file.path(), vec![b'x'; PUSH_LIMIT + 1]).unwrap();
        assert_eq!(read_payload(file.path()).unwrap_err().exit(), Exit::Usage);
        let absent = Path::new("/nonexistent/body");
        assert_eq!(read_payload(absent).unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn a_push_is_done_only_when_every_run_completed() {
        let end = |outcome: &str| ReceiptView {
            device: "d".to_owned(),
            hop: "finished",
            at: None,
            terminal: true,
            run: Some(1),
            attempt: Some(1),
            outcome: Some(outcome.to_owned()),
            reason: None,
        };
        assert!(verdict(&[end("completed"), end("completed")]).is_ok());
        assert!(verdict(&[end("completed"), end("hung")]).is_err());
        assert_eq!(
            verdict(&[end("aborted")]).unwrap_err().to_string(),
            "the push ended: finished: aborted, run 1"
        );
    }
}
