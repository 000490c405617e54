//! `lull fire`: a registration, fired by hand (MNG-13).

use lull_proto::local::v1::{DebugFireRequest, ListTasksRequest};

use crate::command::{Fire, Global};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;

/// Runs the verb.
pub(crate) async fn run(global: &Global, fire: Fire, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let (app, task) = fire.task;
    let (app, task) = (app.to_string(), task.to_string());
    let request = ListTasksRequest { app: app.clone() };
    let listed = node.operator().list_tasks(request).await;
    let listed = listed.map_err(|status| node.failure(&status))?.into_inner();
    let ids: Vec<u64> = listed
        .tasks
        .iter()
        .filter(|one| one.name == task)
        .map(|one| one.id)
        .collect();
    let id = one_of(&ids, &app, &task)?;
    let request = DebugFireRequest {
        app: app.clone(),
        id,
    };
    let done = node.operator().debug_fire(request).await;
    done.map_err(|status| node.failure(&status))?;
    if output.json() {
        output.document(&serde_json::json!({ "app": app, "task": task, "id": id }));
    } else {
        output.line(format!(
            "{app}/{task} is fired; `lull why {app}/{task}` tells if it waits, `lull runs {app}` how it goes"
        ));
    }
    Ok(())
}

/// Names need not be unique (ACC-26).
fn one_of(ids: &[u64], app: &str, task: &str) -> Result<u64, Failure> {
    match ids {
        [id] => Ok(*id),
        [] => Err(Failure::Input(format!(
            "app {app} has no task {task}; `lull tasks {app}` lists what it has"
        ))),
        several => Err(Failure::Input(format!(
            "app {app} has {} tasks of the name {task}; have it give each a name of its own",
            several.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_to_name_one_task() {
        assert_eq!(one_of(&[7], "mail", "sync").unwrap(), 7);
        for (ids, word) in [(&[][..], "no task sync"), (&[1, 2][..], "2 tasks")] {
            let told = one_of(ids, "mail", "sync").unwrap_err().to_string();
            assert!(told.contains(word), "{told}");
        }
    }
}
