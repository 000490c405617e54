//! Control channels (TRG-14): a connection to the app's server that the node keeps while nobody of the app runs.
//!
//! The order in which a channel comes to be is the compiler's to check (TRGD-13): its task is registered, the transport is chosen, it
//! is connected, and then it is waited for. Deliberately absent: what is said on the connection.

use std::io;
use std::net::{SocketAddr, TcpStream};

use super::{Front, FrontError, Registered, Registration};
use crate::Trigger;
use crate::socket::{HandOver, NotHandedOver, NotTaken};

/// A control channel that is not registered yet. Its task's agent runs when a message comes ([`Message`](crate::ChannelActivity::Message)) and
/// when the server wants to hear something ([`KeepAlive`](crate::ChannelActivity::KeepAlive)); it gets the connection with
/// [`Agent::take_socket`](crate::agent::Agent::take_socket) and hands it back with [`HandOver::channel`].
///
/// ```no_run
/// use lull_agent::front::{ControlChannel, Front};
///
/// async fn chat(front: &Front) -> Result<(), Box<dyn std::error::Error>> {
///     let channel = ControlChannel::named("chat", 15).register(front, "chat", "chat-agent").await?;
///     let channel = channel.using_transport("192.0.2.7:5222".parse()?).connect().await?;
///     // what the server wants to be told first, on `channel.transport()`
///     let slot = channel.wait_for_push_enabled(front).await?;
///     println!("kept: {slot:?}");
///     Ok(())
/// }
/// ```
///
/// Waiting before connecting is an error (TRGD-13):
///
/// ```compile_fail
/// use lull_agent::front::{ControlChannel, Front};
///
/// async fn chat(front: &Front) {
///     let channel = ControlChannel::named("chat", 15).register(front, "chat", "chat-agent").await.unwrap();
///     let channel = channel.using_transport("192.0.2.7:5222".parse().unwrap());
///     channel.wait_for_push_enabled(front).await.unwrap(); // error: it is not connected
/// }
/// ```
///
/// So is choosing the transport before there is a task:
///
/// ```compile_fail
/// use lull_agent::front::ControlChannel;
///
/// // error: it is not registered
/// let channel = ControlChannel::named("chat", 15).using_transport("192.0.2.7:5222".parse().unwrap());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is not registered yet"]
pub struct ControlChannel {
    id: String,
    keep_alive_minutes: u32,
    hardware: bool,
}

impl ControlChannel {
    /// A channel of this id, at most 64 characters, whose server wants to hear something every so many minutes, 15 to 1,439
    /// (TRGD-12).
    pub fn named(id: impl Into<String>, keep_alive_minutes: u32) -> Self {
        Self {
            id: id.into(),
            keep_alive_minutes,
            hardware: false,
        }
    }

    /// Kept by a wake-capable network card, also while the device sleeps. A device has few such slots.
    pub fn hardware_slot(mut self) -> Self {
        self.hardware = true;
        self
    }

    /// Registers the channel's task, which is both for messages and for keep-alives (TRGD-10), in place of one of that name.
    ///
    /// # Errors
    /// As [`Front::register`]; hardware slots can be taken.
    pub async fn register(
        self,
        front: &Front,
        task: impl Into<String>,
        entry_point: impl Into<String>,
    ) -> Result<RegisteredChannel, FrontError> {
        let trigger = Trigger::ControlChannel {
            id: self.id.clone(),
            keep_alive_minutes: self.keep_alive_minutes,
            hardware: self.hardware,
        };
        let task = Registration::named(task).entry_point(entry_point);
        let registered = front.register(task.trigger(trigger).replace()).await?;
        let id = self.id;
        Ok(RegisteredChannel { id, registered })
    }
}

/// A channel that has its task; next is its transport.
#[derive(Debug)]
#[must_use = "it has no transport yet"]
pub struct RegisteredChannel {
    id: String,
    registered: Registered,
}

impl RegisteredChannel {
    /// Its registration.
    pub fn registered(&self) -> &Registered {
        &self.registered
    }

    /// Says where its transport goes, before that is connected.
    pub fn using_transport(self, server: SocketAddr) -> PreparedChannel {
        let id = self.id;
        PreparedChannel { id, server }
    }
}

/// A channel that knows its transport; next that is connected.
#[derive(Debug)]
#[must_use = "it is not connected yet"]
pub struct PreparedChannel {
    id: String,
    server: SocketAddr,
}

impl PreparedChannel {
    /// Connects it, without a keep-alive of TCP's own (TRGD-14).
    pub async fn connect(self) -> io::Result<ConnectedChannel> {
        let stream = tokio::net::TcpStream::connect(self.server).await?;
        let transport = stream.into_std()?;
        transport.set_nonblocking(false)?;
        let id = self.id;
        Ok(ConnectedChannel { id, transport })
    }
}

/// A channel that is connected; what the server wants to be told first is said now.
#[derive(Debug)]
#[must_use = "the node does not keep it yet"]
pub struct ConnectedChannel {
    id: String,
    transport: TcpStream,
}

impl ConnectedChannel {
    /// Its transport, for reading and writing until the node keeps it.
    pub fn transport(&self) -> &TcpStream {
        &self.transport
    }

    /// Hands the transport to the node, and waits until that keeps it.
    ///
    /// # Errors
    /// With the status of TRGD-13 that says why not.
    pub async fn wait_for_push_enabled(
        self,
        front: &Front,
    ) -> Result<ChannelStatus, ChannelNotEnabled> {
        if self.transport.peer_addr().is_err() {
            return Err(ChannelNotEnabled::Disconnected);
        }
        match front
            .offer(HandOver::channel(self.id, self.transport))
            .await
        {
            Ok(Some(2)) => Ok(ChannelStatus::HardwareSlotAllocated),
            Ok(_software) => Ok(ChannelStatus::SoftwareSlotAllocated),
            Err(error) => Err(ChannelNotEnabled::NotTaken(error)),
        }
    }
}

/// Where a channel stands (TRGD-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelStatus {
    /// 0: a slot of the network card was asked for.
    HardwareSlotRequested,
    /// 1: the node keeps it while the device is awake.
    SoftwareSlotAllocated,
    /// 2: a network card keeps it.
    HardwareSlotAllocated,
    /// 3: there are too many.
    PolicyError,
    /// 4: something else.
    SystemError,
    /// 5: its transport is gone.
    TransportDisconnected,
    /// 6: no node answers.
    ServiceUnavailable,
}

impl ChannelStatus {
    /// Its number in the rule book.
    pub const fn number(self) -> u8 {
        match self {
            Self::HardwareSlotRequested => 0,
            Self::SoftwareSlotAllocated => 1,
            Self::HardwareSlotAllocated => 2,
            Self::PolicyError => 3,
            Self::SystemError => 4,
            Self::TransportDisconnected => 5,
            Self::ServiceUnavailable => 6,
        }
    }
}

/// Why the node does not keep a channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelNotEnabled {
    /// The transport has no other side any more.
    #[error("the channel's transport is disconnected; connect it again")]
    Disconnected,
    /// The node did not take the transport.
    #[error(transparent)]
    NotTaken(NotHandedOver),
}

impl ChannelNotEnabled {
    /// The status of TRGD-13.
    pub fn status(&self) -> ChannelStatus {
        let Self::NotTaken(error) = self else {
            return ChannelStatus::TransportDisconnected;
        };
        match &error.reason {
            NotTaken::Away(_) => ChannelStatus::ServiceUnavailable,
            NotTaken::Refused { code, .. } => match code.as_str() {
                "resource-exhausted" => ChannelStatus::PolicyError,
                "unavailable" => ChannelStatus::ServiceUnavailable,
                _other => ChannelStatus::SystemError,
            },
        }
    }
}
