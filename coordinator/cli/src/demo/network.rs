//! A network of the demonstration's own: a namespace in which the Internet's being there is made true and false by
//! real kernel events, and nothing outside is touched.

use std::net::Ipv4Addr;

use rtnetlink::{Handle, LinkDummy, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use rustix::thread::UnshareFlags;

use crate::failure::Failure;

/// The link's address and its router, from a range for documentation (RFC 5737): nothing answers there.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PREFIX: u8 = 24;
/// The link's name, and its peer's.
const LINK: &str = "lull0";
const PEER: &str = "lull1";

/// Whose network the demonstration runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespace {
    /// A fresh one: nobody else is in it.
    Own,
    /// The machine's: it is not to be touched.
    Machine,
}

/// Moves this thread, and every process that it starts, into a fresh network namespace, where the kernel lets it. To be
/// called while the process has one thread.
pub(super) fn enter_own() -> Namespace {
    #[expect(
        deprecated,
        reason = "the sound use of it: a network namespace shares no memory or descriptors that the type system tracks"
    )]
    match rustix::thread::unshare(UnshareFlags::NEWNET) {
        Ok(()) => Namespace::Own,
        Err(_not_permitted) => Namespace::Machine,
    }
}

/// Sets the loopback link up: a fresh namespace has it down.
pub(super) async fn loopback_up() -> Result<(), Failure> {
    let handle = connect()?;
    let up = set_up(&handle, "lo").await;
    up.map(drop)
        .map_err(|error| Failure::internal("cannot set lo up", &error))
}

/// Makes a link with carrier and a default route over it; says which kind of link.
pub(super) async fn default_route_up() -> Result<&'static str, Failure> {
    let handle = connect()?;
    let failed = |error: anyhow::Error| Failure::internal("cannot make a default route", &error);
    let kind = make_link(&handle).await.map_err(failed)?;
    let route = async {
        let link = set_up(&handle, LINK).await?;
        handle
            .address()
            .add(link, ADDRESS.into(), PREFIX)
            .execute()
            .await?;
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(ROUTER)
            .output_interface(link);
        handle.route().add(route.build()).execute().await?;
        anyhow::Ok(())
    };
    route.await.map_err(failed)?;
    Ok(kind)
}

fn connect() -> Result<Handle, Failure> {
    let (connection, handle, _messages) = rtnetlink::new_connection()
        .map_err(|error| Failure::internal("cannot speak netlink", &error.into()))?;
    tokio::spawn(connection);
    Ok(handle)
}

/// A pair of virtual links where the kernel has them (its carrier is real), else a dummy.
async fn make_link(handle: &Handle) -> anyhow::Result<&'static str> {
    let pair = LinkVeth::new(LINK, PEER).build();
    if handle.link().add(pair).execute().await.is_ok() {
        set_up(handle, PEER).await?;
        return Ok("veth");
    }
    handle
        .link()
        .add(LinkDummy::new(LINK).build())
        .execute()
        .await?;
    Ok("dummy")
}

async fn set_up(handle: &Handle, name: &str) -> anyhow::Result<u32> {
    use futures_util::TryStreamExt as _;
    let mut found = handle.link().get().match_name(name.to_owned()).execute();
    let link = found
        .try_next()
        .await?
        .ok_or_else(|| anyhow::anyhow!("the link {name} is not there"))?
        .header
        .index;
    let change = LinkMessageBuilder::<LinkUnspec>::default()
        .index(link)
        .up()
        .build();
    handle.link().change(change).execute().await?;
    Ok(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The routes of this thread's own namespace.
    fn routes() -> String {
        std::fs::read_to_string("/proc/thread-self/net/route").unwrap()
    }

    /// A default route has destination 0 and mask 0.
    fn has_default(routes: &str) -> bool {
        let mut lines = routes
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.any(|fields| fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000"))
    }

    #[tokio::test]
    async fn the_route_comes_up_in_the_namespace_alone() {
        let outside = routes();
        match enter_own() {
            Namespace::Machine => assert_eq!(routes(), outside),
            Namespace::Own => {
                assert!(!has_default(&routes()));
                loopback_up().await.unwrap();
                default_route_up().await.unwrap();
                assert!(has_default(&routes()), "{}", routes());
            }
        }
    }
}
