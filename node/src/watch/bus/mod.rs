//! The system bus, as watchers use it: a service is a place to read from, and its signals are a bell.
//!
//! A signal says that something changed, no more. Who hears it reads all of it anew by method calls, so that nothing a signal
//! carries decides anything: not a half-told change, not a spoofed or reordered one, not what a cache kept of a service
//! that has died. Signals are subscribed to anew for each change and not listened to while it settles: a service that
//! floods is heard a few times a second, whatever it sends.
//!
//! Each watcher has a connection of its own, so that a flood for one keeps no other waiting.

mod ear;
mod follow;
mod properties;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::fdo;
use zbus::{Connection, DynamicType, Type};

pub(crate) use ear::Ear;
pub(super) use ear::{At, Signals};
pub(super) use follow::{Subject, follow};
pub(super) use properties::Properties;

use super::Post;

/// How long a service may take to answer one call before it counts as down.
const ANSWER: Duration = Duration::from_secs(25);

/// How long a bus may take to greet: it is on this machine.
const CONNECT: Duration = Duration::from_secs(10);

/// The name of the bus itself.
const BUS: &str = "org.freedesktop.DBus";

/// A connection to the system bus.
#[derive(Debug, Clone)]
pub(crate) struct Bus {
    connection: Connection,
}

/// Whether a service can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Somebody answers to its name.
    pub(crate) there: bool,
    /// The bus starts it when it is asked.
    pub(crate) startable: bool,
}

impl Standing {
    /// Asking it makes sense.
    pub(crate) const fn offered(self) -> bool {
        self.there || self.startable
    }
}

impl Bus {
    /// Connects. Must be called on the runtime.
    pub(super) async fn connect(post: &Post) -> zbus::Result<Self> {
        Self::at(post.bus.as_deref()).await
    }

    /// Connects to the bus at an address; absent = the system's.
    pub(crate) async fn at(address: Option<&str>) -> zbus::Result<Self> {
        let builder = match address {
            Some(address) => zbus::conn::Builder::address(address),
            None => zbus::conn::Builder::system(),
        };
        let connecting = builder.method_timeout(ANSWER).build();
        let late = |_elapsed| zbus::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        let connection = connected.map_err(late)??;
        Ok(Self { connection })
    }

    /// The connection that answers to a service's name now; absent = nobody does.
    pub(crate) async fn owner(&self, service: &str) -> zbus::Result<Option<String>> {
        let path = "/org/freedesktop/DBus";
        match self.call(BUS, path, BUS, "GetNameOwner", &service).await {
            Ok(owner) => Ok(Some(owner)),
            Err(error) if is_of_service(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a service can be asked.
    pub(crate) async fn standing(&self, service: &str) -> zbus::Result<Standing> {
        let path = "/org/freedesktop/DBus";
        let there = self.call(BUS, path, BUS, "NameHasOwner", &service).await?;
        let startable: Vec<String> = self
            .call(BUS, path, BUS, "ListActivatableNames", &())
            .await?;
        let startable = startable.iter().any(|name| name == service);
        Ok(Standing { there, startable })
    }

    /// Calls a method.
    pub(crate) async fn call<R: DeserializeOwned + Type>(
        &self,
        service: &str,
        path: &str,
        interface: &str,
        method: &str,
        body: &(impl Serialize + DynamicType + Sync),
    ) -> zbus::Result<R> {
        let answer = self
            .connection
            .call_method(Some(service), path, Some(interface), method, body)
            .await?;
        answer.body().deserialize()
    }

    /// Calls a method whose answer does not matter.
    #[cfg(test)]
    pub(crate) async fn say(
        &self,
        service: &str,
        path: &str,
        interface: &str,
        method: &str,
        body: &(impl Serialize + DynamicType + Sync),
    ) -> zbus::Result<()> {
        let answer = self
            .connection
            .call_method(Some(service), path, Some(interface), method, body)
            .await?;
        drop(answer);
        Ok(())
    }

    /// All properties of one interface of an object, as they are now.
    pub(super) async fn properties(
        &self,
        service: &str,
        path: &str,
        interface: &str,
    ) -> zbus::Result<Properties> {
        let all = "org.freedesktop.DBus.Properties";
        let found = self.call(service, path, all, "GetAll", &interface).await?;
        Ok(Properties::new(found))
    }
}

/// The service itself said no, or is not there: the connection is well.
pub(super) fn is_of_service(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::FDO(error) => !matches!(**error, fdo::Error::ZBus(_)),
        zbus::Error::MethodError(..)
        | zbus::Error::SignatureMismatch(..)
        | zbus::Error::IncorrectType
        | zbus::Error::MissingField => true,
        zbus::Error::InputOutput(error) => error.kind() == std::io::ErrorKind::TimedOut,
        _ => false,
    }
}

/// The object asked for went away between two calls.
pub(super) fn is_gone(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::FDO(error) if matches!(
        **error,
        fdo::Error::UnknownObject(_) | fdo::Error::UnknownMethod(_) | fdo::Error::UnknownInterface(_)
    ))
}
