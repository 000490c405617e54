//! `lull apps`: what is installed on this machine's node, and which manifests it refused.

use lull_proto::local::v1::ListAppsRequest;

use crate::command::Global;
use crate::failure::Failure;
use crate::node::Node;
use crate::output::{Output, Rows};
use crate::view::{AppView, RefusedView};

/// Runs the verb.
pub(crate) async fn run(global: &Global, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let (apps, refused) = list(&node).await?;
    if output.json() {
        output.document(&serde_json::json!({ "apps": apps, "refused": refused }));
        return Ok(());
    }
    output.table(
        &table(&apps),
        "no app is installed: the node's folder of manifests is empty",
    );
    for app in &apps {
        if let Some(wish) = &app.wish {
            output.note(format!(
                "{app} wishes for the access {kind}: {reason:?}; `lull choose {app} --access always` grants it, `--access app` turns it down",
                app = app.app,
                kind = wish.kind,
                reason = wish.reason,
            ));
        }
    }
    for manifest in refused {
        output.note(refusal(&manifest));
    }
    Ok(())
}

/// The apps of a node, and the manifests that it refused.
pub(crate) async fn list(node: &Node) -> Result<(Vec<AppView>, Vec<RefusedView>), Failure> {
    let answer = node.operator().list_apps(ListAppsRequest {}).await;
    let answer = answer.map_err(|status| node.failure(&status))?.into_inner();
    let apps = answer.apps.into_iter().map(AppView::from).collect();
    Ok((
        apps,
        answer.refused.into_iter().map(RefusedView::from).collect(),
    ))
}

/// The error names file and line where there is one to name.
fn refusal(manifest: &RefusedView) -> String {
    if manifest.error.starts_with(&manifest.path) {
        format!("refused: {}", manifest.error)
    } else {
        format!("refused: {}: {}", manifest.path, manifest.error)
    }
}

fn table(apps: &[AppView]) -> Rows {
    let mut rows = Rows::new(["APP", "VERSION", "ACCESS", "USER", "AGENTS", "TASKS"]);
    for app in apps {
        rows.push([
            app.app.clone(),
            app.version.clone(),
            app.access.to_owned(),
            app.user.clone(),
            app.entry_points.join(" "),
            app.registrations.to_string(),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_fit_eighty_columns() {
        let app = AppView {
            app: "photos".to_owned(),
            version: "1.0".to_owned(),
            access: "denied-by-system-policy",
            user: "64017".to_owned(),
            entry_points: vec!["photo-sync".to_owned(), "thumbnails".to_owned()],
            registrations: 2,
            wish: None,
        };
        let text = table(&[app]).render(80);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
