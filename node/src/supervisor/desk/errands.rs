//! What the broker has the launcher told: which sockets of apps to keep.

use std::os::fd::AsFd as _;

use lull_launcher::wire::Request;

use super::Desk;
use crate::broker::{Broker, Errand};
use crate::supervisor::order::Order;

/// Why a run that is to get a socket does not begin with a launcher from before sockets were held.
pub(super) const OLD_LAUNCHER: &str = "the launcher is of an older build and hands no sockets to runs; it is replaced as soon as no run is under way";

/// The socket of a run that does not begin closes: it has left the broker.
pub(super) fn let_go(broker: &Broker, order: &Order) {
    if let Some(socket) = order.launch.socket {
        broker.let_go(socket);
    }
}

impl Desk {
    /// Tells the launcher. What a lost connection swallows is said again after the next hello.
    pub(super) async fn run_errands(&mut self) {
        for errand in self.setup.broker.errands() {
            match errand {
                Errand::Keep {
                    serial,
                    note,
                    socket,
                } => {
                    let keep = Request::Keep {
                        socket: serial,
                        note,
                    };
                    self.send(&keep, Some(socket.as_fd())).await;
                    if self.launcher.is_some() {
                        self.setup.broker.kept(serial);
                    }
                }
                Errand::Release(socket) => self.send(&Request::Release { socket }, None).await,
            }
        }
    }
}
