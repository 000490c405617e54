//! Connects to the coordinator: TCP, TLS, then a channel for gRPC over that one connection.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

/// Most bytes of a `host:port`: a DNS name has 253.
const ADDRESS: usize = 261;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

/// A text that is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address; write host:port, such as fleet.example.org:7443 or [::1]:7443")]
pub struct AddressError(String);

impl Address {
    /// Parses `host:port`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let error = || {
            AddressError(
                text.get(..text.floor_char_boundary(64))
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
        if text.len() > ADDRESS {
            return Err(error());
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port: u16 = port.parse().map_err(|_no_number| error())?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let bracketed = bare.is_some();
        let host = bare.unwrap_or(host);
        // An IPv6 address needs its brackets, and nothing else has them.
        if port == 0 || host.contains(':') != bracketed {
            return Err(error());
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_no_name| error())?;
        let host = host.to_owned();
        Ok(Self { host, port, name })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody is there.
    #[error("connecting to {address}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody is there, and is not who it should be, or the connection broke.
    #[error("setting up TLS with {address}")]
    Tls {
        /// With whom.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took too long.
    #[error("{address} did not answer within {} s ({what})", limit.as_secs_f32())]
    Late {
        /// Who.
        address: String,
        /// Which step.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The channel over the connection could not be made.
    #[error("talking to {address}")]
    Channel {
        /// With whom.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

impl DialError {
    /// The TLS library's own judgement, where it is the cause.
    pub(crate) fn tls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Tls { source, .. } => source.get_ref()?.downcast_ref(),
            Self::Connect { .. } | Self::Late { .. } | Self::Channel { .. } => None,
        }
    }
}

/// Connects; each of the two steps may take `limit`.
pub(crate) async fn connect(
    address: &Address,
    config: Arc<ClientConfig>,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, DialError> {
    let late = |what| DialError::Late {
        address: address.to_string(),
        what,
        limit,
    };
    let tcp = TcpStream::connect((address.host.as_str(), address.port));
    let connected = timeout(limit, tcp).await.map_err(|_late| late("TCP"))?;
    let stream = connected
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|source| DialError::Connect {
            address: address.to_string(),
            source,
        })?;
    let handshake = TlsConnector::from(config).connect(address.name.clone(), stream);
    let shaken = timeout(limit, handshake)
        .await
        .map_err(|_late| late("TLS"))?;
    shaken.map_err(|source| DialError::Tls {
        address: address.to_string(),
        source,
    })
}

/// A channel over this one connection. When it breaks, so does the channel: reconnecting is decided above.
pub(crate) async fn channel(
    address: &Address,
    stream: TlsStream<TcpStream>,
) -> Result<Channel, DialError> {
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_uri: http::Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let gone = || io::Error::other("the connection was used already");
            stream.map(TokioIo::new).ok_or_else(gone)
        }
    });
    let failed = |source| DialError::Channel {
        address: address.to_string(),
        source,
    };
    // The scheme is that of the inner protocol; TLS is around it already.
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(failed)?;
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [
            "127.0.0.1:7443",
            "fleet.example.org:1",
            "[::1]:65535",
            "localhost:7444",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "host",
            "host:",
            ":7443",
            "host:0",
            "host:65536",
            "::1:7443",
            "[host]:1",
            "a b:1",
            "host:1 ",
            "[::1]",
            "[]:1",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{text:?} is not an address; ")),
                "{error}"
            );
        }
    }
}
