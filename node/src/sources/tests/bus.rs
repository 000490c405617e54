//! Signals of the bus (TRG-47), from services of the test's own on a bus of its own.

use tokio::time::Instant;
use zbus::Connection;

use super::*;
use crate::watch::tests::stage::Stage;

const SERVICE: &str = "com.example.Door";
const PATH: &str = "/com/example/Door";
const INTERFACE: &str = "com.example.Door1";

fn event(member: &str) -> Subject {
    subject(format!("{SERVICE} {INTERFACE}.{member}"))
}

fn told(name: &str, member: &str) -> Occurrence {
    let (app, event) = (app(name), event(member));
    Occurrence::Bus { app, event }
}

async fn say(from: &Connection, to: Option<&str>, member: &str) {
    from.emit_signal(to, PATH, INTERFACE, member, &())
        .await
        .unwrap();
}

async fn anybody(stage: &Stage) -> Connection {
    let address = stage.address();
    let builder = zbus::conn::Builder::address(address.as_str());
    builder.build().await.unwrap()
}

async fn door(stage: &Stage) -> Connection {
    let door = anybody(stage).await;
    door.request_name(SERVICE).await.unwrap();
    door
}

/// Everybody on the bus.
async fn connections(stage: &Stage) -> Vec<String> {
    let (name, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    let bus = stage.connect().await;
    let names: Vec<String> = bus.call(name, path, name, "ListNames", &()).await.unwrap();
    names
        .into_iter()
        .filter(|name| name.starts_with(':'))
        .collect()
}

/// A bus, a source on it that hears two signals for two apps, and what it tells.
async fn play(test: impl AsyncFnOnce(&Stage, &Post, &mut mpsc::Receiver<Event>)) {
    let stage = Stage::start().await;
    let (mut post, mut heard) = post();
    post.bus = Some(stage.address());
    let wanted = Wanted {
        signals: [
            (event("Opened"), [app("a"), app("b")].into()),
            (event("Closed"), [app("a")].into()),
        ]
        .into(),
        ..Wanted::default()
    };
    let wanted = watch::Sender::new(wanted);
    let source = super::super::bus::watch(&post, wanted.subscribe());
    let test = async {
        let both = "the system bus: 2 of 2 signals";
        stands(&post.board, Source::Bus, both).await;
        test(&stage, &post, &mut heard).await;
    };
    beside(source, test).await;
}

#[tokio::test]
async fn a_signal_is_told_to_every_app_that_names_it() {
    play(async |stage, _post, heard| {
        let first = door(stage).await;
        say(&first, None, "Opened").await;
        assert_eq!(next(heard).await, told("a", "Opened"));
        assert_eq!(next(heard).await, told("b", "Opened"));
        // Nobody names this one.
        say(&first, None, "Locked").await;
        say(&first, None, "Closed").await;
        assert_eq!(next(heard).await, told("a", "Closed"));

        // Another process takes the service over.
        first.release_name(SERVICE).await.unwrap();
        let second = door(stage).await;
        say(&second, None, "Closed").await;
        assert_eq!(next(heard).await, told("a", "Closed"));
    })
    .await;
}

#[tokio::test]
async fn nobody_else_is_believed() {
    play(async |stage, _post, heard| {
        let door = door(stage).await;
        say(&door, None, "Closed").await;
        assert_eq!(next(heard).await, told("a", "Closed"));
        let liar = anybody(stage).await;
        say(&liar, None, "Opened").await;
        let names = connections(stage).await;
        assert!(names.len() >= 3, "{names:?}");
        for name in &names {
            say(&liar, Some(name), "Opened").await;
        }
        // A gap lies between two of one signal: what was believed would be told in it.
        for _ in 0..3 {
            say(&door, None, "Closed").await;
            assert_eq!(next(heard).await, told("a", "Closed"));
        }
        say(&door, None, "Opened").await;
        for name in ["a", "b"] {
            assert_eq!(next(heard).await, told(name, "Opened"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_flood_is_told_once_in_a_gap_and_keeps_nobody_else_waiting() {
    play(async |stage, post, heard| {
        let door = door(stage).await;
        let begun = Instant::now();
        let mut opened = 0;
        // Until it was too much, and told several times.
        while opened < 4 || post.board.counter(FLOODED) == 0 {
            for _ in 0..50 {
                say(&door, None, "Opened").await;
            }
            while let Ok(Event::Occurred(occurrence)) = heard.try_recv() {
                opened += u128::from(occurrence == told("a", "Opened"));
            }
            assert!(begun.elapsed() < PATIENCE, "told {opened} times");
        }
        say(&door, None, "Closed").await;
        loop {
            match next(heard).await {
                occurrence if occurrence == told("a", "Opened") => opened += 1,
                occurrence if occurrence == told("a", "Closed") => break,
                occurrence => assert_eq!(occurrence, told("b", "Opened")),
            }
        }
        assert!(opened <= at_most(begun), "told {opened} times");
    })
    .await;
}

/// What comes within a gap is told at its end.
#[tokio::test]
async fn the_last_of_a_burst_is_not_lost() {
    play(async |stage, _post, heard| {
        let door = door(stage).await;
        say(&door, None, "Closed").await;
        assert_eq!(next(heard).await, told("a", "Closed"));
        say(&door, None, "Closed").await;
        assert_eq!(next(heard).await, told("a", "Closed"));
    })
    .await;
}
