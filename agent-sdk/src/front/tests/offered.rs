//! Pushes that are offered to the app, and their answers.

use super::*;

fn offer(id: &str) -> wire::AttachResponse {
    event(WireEvent::Push(wire::PushOffered {
        id: id.to_owned(),
        body: b"news".to_vec().into(),
        expires: Some(Timestamp {
            seconds: 1_000,
            nanos: 0,
        }),
    }))
}

async fn node(ids: &[&str]) -> (Node, super::super::Events) {
    let mut events = vec![attached()];
    events.extend(ids.iter().map(|id| offer(id)));
    let script = Script {
        events,
        stays: true,
        ..Script::default()
    };
    let node = Node::with(script).await;
    let events = node
        .front
        .attach_taking_pushes(Presence::Foreground)
        .await
        .unwrap();
    (node, events)
}

async fn next(events: &mut super::super::Events) -> super::super::OfferedPush {
    match events.next().await {
        Some(Ok(Event::Push(push))) => push,
        other => panic!("no push: {other:?}"),
    }
}

/// The answers, once there are so many.
async fn answers(node: &Node, count: usize) -> Vec<(String, bool)> {
    let arrived = tokio::time::timeout(LONG, async {
        loop {
            let answers = node.script.lock().unwrap().answers.clone();
            if answers.len() >= count {
                return answers;
            }
            tokio::task::yield_now().await;
        }
    });
    let answers = arrived.await.unwrap();
    answers
        .into_iter()
        .map(|one| (one.push, one.handled))
        .collect()
}

#[tokio::test]
async fn a_push_is_handled_passed_on_or_dropped_and_answered_once() {
    let (node, mut events) = node(&["p1", "p2", "p3"]).await;
    assert!(
        node.script
            .lock()
            .unwrap()
            .attached
            .clone()
            .unwrap()
            .takes_pushes
    );
    let first = next(&mut events).await;
    assert_eq!((first.id(), first.body()), ("p1", b"news".as_slice()));
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    assert_eq!(first.expires(), Some(expires));
    let copy = first.clone();
    assert_eq!(first, copy);
    drop(first);
    copy.handled().await.unwrap();
    drop(copy);
    next(&mut events).await.pass_on().await.unwrap();
    drop(next(&mut events).await);
    let told = answers(&node, 3).await;
    let wanted = [("p1", true), ("p2", false), ("p3", false)];
    assert_eq!(told, wanted.map(|(id, handled)| (id.to_owned(), handled)));
}

#[tokio::test]
async fn a_late_answer_is_told_and_an_unanswered_question_may_be_asked_again() {
    let (node, mut events) = node(&["p1", "p2"]).await;
    let refuse = |refusal: Option<Status>| node.script.lock().unwrap().refusal = refusal;
    let push = next(&mut events).await;
    refuse(Some(Status::not_found("its time to answer is over")));
    push.pass_on().await.unwrap();
    let late = push.handled().await.unwrap_err();
    assert!(matches!(late, FrontError::NotFound { .. }), "{late}");
    drop(push);
    let push = next(&mut events).await;
    refuse(Some(Status::unavailable("the store cannot commit now")));
    let failed = push.handled().await.unwrap_err();
    assert!(matches!(failed, FrontError::Unavailable { .. }), "{failed}");
    refuse(None);
    push.handled().await.unwrap();
    drop(push);
    // What is dropped answered says nothing more: the next answer is the next push's.
    assert_eq!(answers(&node, 1).await, [("p2".to_owned(), true)]);
}

#[tokio::test]
async fn a_client_that_does_not_say_so_takes_no_pushes() {
    let script = Script {
        events: vec![attached()],
        ..Script::default()
    };
    let node = Node::with(script).await;
    drop(node.front.attach(Presence::Foreground).await.unwrap());
    assert!(
        !node
            .script
            .lock()
            .unwrap()
            .attached
            .clone()
            .unwrap()
            .takes_pushes
    );
}
