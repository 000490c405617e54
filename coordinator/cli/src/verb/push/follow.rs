//! Following a push over the coordinator's restarts.

use std::collections::HashSet;
use std::time::Duration;

use lull_proto::push::v1::{WatchRequest, WatchResponse};
use tonic::{Code, Status, Streaming};

use crate::clock::{Deadline, backoff};
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::view::ReceiptView;

/// The first bound of a reconnect's delay, and the last.
const BASE: Duration = Duration::from_millis(200);
const CAP: Duration = Duration::from_secs(5);

/// Follows one push: each receipt once, also when the stream broke and was taken up again.
#[derive(Debug)]
pub(crate) struct Follower {
    coordinator: Coordinator,
    push_id: String,
    deadline: Deadline,
    stream: Option<Streaming<WatchResponse>>,
    attempts: u32,
    seen: HashSet<(String, &'static str, Option<u32>)>,
}

impl Follower {
    /// Follows from the first receipt on, until the deadline.
    pub(crate) fn new(coordinator: Coordinator, push_id: &str, deadline: Deadline) -> Self {
        Self {
            coordinator,
            push_id: push_id.to_owned(),
            deadline,
            stream: None,
            attempts: 0,
            seen: HashSet::new(),
        }
    }

    /// The next receipt; none after the last device's last.
    pub(crate) async fn next(&mut self) -> Result<Option<ReceiptView>, Failure> {
        loop {
            match tokio::time::timeout_at(self.deadline.instant(), self.step()).await {
                Err(_elapsed) => return Err(self.late()),
                Ok(Ok(Some(receipt))) => {
                    self.attempts = 0;
                    let key = (receipt.device.clone(), receipt.hop, receipt.attempt);
                    if self.seen.insert(key) {
                        return Ok(Some(receipt));
                    }
                }
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(status)) => self.pause(&status).await?,
            }
        }
    }

    /// Every receipt to the end, in the order of their coming.
    pub(crate) async fn all(mut self) -> Result<Vec<ReceiptView>, Failure> {
        let mut receipts = Vec::new();
        while let Some(receipt) = self.next().await? {
            receipts.push(receipt);
        }
        Ok(receipts)
    }

    async fn step(&mut self) -> Result<Option<ReceiptView>, Status> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let request = WatchRequest {
                push_id: self.push_id.clone(),
            };
            self.coordinator.push().watch(request).await?.into_inner()
        };
        let message = stream.message().await?;
        self.stream = Some(stream);
        let receipt = message.and_then(|message| {
            message
                .receipt
                .map(|receipt| ReceiptView::new(message.device, receipt))
        });
        Ok(receipt)
    }

    /// Waits before the next attempt where one makes sense.
    async fn pause(&mut self, status: &Status) -> Result<(), Failure> {
        match status.code() {
            Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::Internal
            | Code::DataLoss => {
                self.stream = None;
                let wait = backoff(self.attempts, BASE, CAP);
                self.attempts = self.attempts.saturating_add(1);
                if wait >= self.deadline.left() {
                    return Err(self.late());
                }
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(self.coordinator.failure(status)),
        }
    }

    fn late(&self) -> Failure {
        Failure::Late(format!(
            "push {} did not end within {}; it goes on, and waits for its device until its time to live ends",
            self.push_id,
            crate::words::exact(self.deadline.whole())
        ))
    }
}
