use std::sync::mpsc::sync_channel;

use rtnetlink::{LinkUnspec, LinkVeth};

use super::*;
use crate::watch::tests::{PATIENCE, Recorder, next, post};

fn levels(network: Network) -> Vec<Reading> {
    let internet = network != Network::None;
    vec![
        Reading::Network(Level::Known(network)),
        Reading::Internet(Level::Known(internet)),
        Reading::Metered(Level::Unknown),
    ]
}

#[test]
fn devices_are_told_apart_by_sysfs() {
    let sysfs = tempfile::tempdir().unwrap();
    let device = |name: &str| {
        let folder = sysfs.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    std::fs::create_dir(device("wlan0").join("wireless")).unwrap();
    std::fs::create_dir(device("wlp2s0").join("phy80211")).unwrap();
    std::fs::write(
        device("wwan0").join("uevent"),
        "DEVTYPE=wwan\nINTERFACE=wwan0\n",
    )
    .unwrap();
    std::fs::write(device("eth0").join("uevent"), "INTERFACE=eth0\n").unwrap();
    for (name, network) in [
        ("wlan0", Network::Wifi),
        ("wlp2s0", Network::Wifi),
        ("wwan0", Network::Cellular),
        ("eth0", Network::Ethernet),
        ("tun0", Network::Ethernet),
    ] {
        assert_eq!(kind(sysfs.path(), name), network, "{name}");
    }
}

#[test]
fn the_lowest_metric_wins_and_four_before_six() {
    let route = |six, metric, device| DefaultRoute {
        six,
        metric,
        device,
    };
    let mut routes = [
        route(true, 0, 1),
        route(false, 600, 2),
        route(false, 100, 3),
    ];
    routes.sort();
    assert_eq!(routes.map(|route| route.device), [3, 2, 1]);
}

/// Runs a test in a network namespace of its own, on a thread of its own; as root only, since nobody else may make one.
fn in_own_network(test: impl AsyncFnOnce() + Send + 'static) {
    let (done, ended) = sync_channel(1);
    std::thread::spawn(move || {
        #[expect(
            deprecated,
            reason = "its successor is unsafe code; a new network is no danger to the thread"
        )]
        let own = rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        if own.is_ok() {
            runtime.block_on(async { tokio::time::timeout(PATIENCE * 3, test()).await.unwrap() });
        }
        done.send(own).unwrap();
    });
    let own = ended.recv().expect("the test in its own network failed");
    let root = rustix::process::geteuid().is_root();
    assert_eq!(own.is_ok(), root, "{own:?}");
}

/// The test's hand on its network.
struct Hand {
    handle: Handle,
}

impl Hand {
    async fn index(&self, name: &str) -> u32 {
        let link = self.handle.link().get().match_name(name).execute();
        let mut link = std::pin::pin!(link);
        link.try_next().await.unwrap().unwrap().header.index
    }

    async fn set(&self, name: &str, up: bool) {
        let link = LinkUnspec::new_with_index(self.index(name).await);
        let link = if up { link.up() } else { link.down() };
        self.handle
            .link()
            .set(link.build())
            .execute()
            .await
            .unwrap();
    }

    async fn device(&self, name: &str, address: Ipv4Addr) {
        // A cable with both its ends here.
        let other = format!("{name}-end");
        let cable = LinkVeth::new(name, &other).build();
        self.handle.link().add(cable).execute().await.unwrap();
        self.set(&other, true).await;
        let index = self.index(name).await;
        let add = self.handle.address().add(index, address.into(), 24);
        add.execute().await.unwrap();
        self.set(name, true).await;
    }

    async fn route(&self, name: &str, metric: u32) {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .output_interface(self.index(name).await)
            .priority(metric)
            .build();
        self.handle.route().add(route).execute().await.unwrap();
    }
}

#[test]
fn a_default_route_comes_changes_and_goes() {
    let sysfs = tempfile::tempdir().unwrap();
    let net = sysfs.path().to_owned();
    std::fs::create_dir_all(net.join("radio/wireless")).unwrap();
    in_own_network(async move || {
        let (connection, handle, _unused) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let hand = Hand { handle };
        let (engine, mut heard) = Recorder::engine(0);
        let mut post = post(engine);
        post.net = net;
        let test = async {
            assert_eq!(next(&mut heard).await, levels(Network::None));
            hand.set("lo", true).await;
            hand.device("cable", Ipv4Addr::new(10, 0, 0, 1)).await;
            hand.route("cable", 600).await;
            assert_eq!(next(&mut heard).await, levels(Network::Ethernet));
            hand.device("radio", Ipv4Addr::new(10, 0, 1, 1)).await;
            hand.route("radio", 100).await;
            assert_eq!(next(&mut heard).await, levels(Network::Wifi));
            // Up, and nobody at the other end: its route stands, and carries nothing.
            hand.set("radio-end", false).await;
            assert_eq!(next(&mut heard).await, levels(Network::Ethernet));
            hand.set("radio-end", true).await;
            assert_eq!(next(&mut heard).await, levels(Network::Wifi));
            hand.set("radio", false).await;
            assert_eq!(next(&mut heard).await, levels(Network::Ethernet));
            hand.set("cable", false).await;
            assert_eq!(next(&mut heard).await, levels(Network::None));
        };
        tokio::select! {
            ended = watch(&post) => panic!("{ended:?}"),
            () = test => {}
        }
        let source = post.board.read().sources[crate::status::reading::INTERNET].clone();
        assert_eq!(
            source,
            "rtnetlink: no default route over a device that carries"
        );
    });
}

#[test]
fn a_storm_of_changes_ends_in_the_last_level() {
    in_own_network(async || {
        let (connection, handle, _unused) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let hand = Hand { handle };
        let (engine, mut heard) = Recorder::engine(0);
        let post = post(engine);
        let test = async {
            assert_eq!(next(&mut heard).await, levels(Network::None));
            hand.device("cable", Ipv4Addr::new(10, 0, 0, 1)).await;
            for _ in 0..200 {
                hand.set("cable", false).await;
                hand.set("cable", true).await;
            }
            hand.route("cable", 1).await;
            let began = tokio::time::Instant::now();
            let mut told = 1;
            while next(&mut heard).await != levels(Network::Ethernet) {
                told += 1;
            }
            assert!(told < 20, "{told} reports after {:?}", began.elapsed());
        };
        tokio::select! {
            ended = watch(&post) => panic!("{ended:?}"),
            () = test => {}
        }
        assert!(post.board.counter(SUPERSEDED) > 0);
    });
}
