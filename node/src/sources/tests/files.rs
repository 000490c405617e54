//! Files (TRG-48).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tokio::time::Instant;

use super::super::paths::Paths;
use super::*;

/// Paths that are watched for two apps, and what is told of them.
struct Scene {
    folder: tempfile::TempDir,
    post: Post,
    heard: mpsc::Receiver<Event>,
    wanted: watch::Sender<Wanted>,
}

impl Scene {
    fn new() -> Self {
        let (post, heard) = post();
        Self {
            folder: tempfile::tempdir().unwrap(),
            post,
            heard,
            wanted: watch::Sender::default(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Runs a test beside the source.
    async fn play(mut self, test: impl AsyncFnOnce(&mut Self)) {
        let (post, wanted) = (self.post.clone(), self.wanted.subscribe());
        beside(super::super::files::watch(&post, wanted), test(&mut self)).await;
    }

    async fn want(&self, paths: &[&str]) {
        let files = paths.iter().map(|path| {
            let path = self.path(path).display().to_string();
            (subject(path), [app("a")].into())
        });
        let files = files.collect();
        self.wanted.send_modify(|wanted| wanted.files = files);
        let line = format!("inotify: {} paths", paths.len());
        stands(&self.post.board, Source::Files, &line).await;
    }

    /// The next that changed, as a path in the folder.
    async fn next(&mut self) -> String {
        let Occurrence::FilesChanged { app: whose, path } = next(&mut self.heard).await else {
            panic!("something else was told");
        };
        assert_eq!(whose, app("a"));
        let path = Path::new(path.as_str());
        path.strip_prefix(self.folder.path())
            .unwrap()
            .display()
            .to_string()
    }
}

#[tokio::test]
async fn a_folder_changes_when_an_entry_is_whole() {
    let scene = Scene::new();
    for folder in ["in", "in/sub", "other"] {
        fs::create_dir(scene.path(folder)).unwrap();
    }
    scene
        .play(async |scene| {
            scene.want(&["in", "other"]).await;
            fs::write(scene.path("in/photo"), "x").unwrap();
            assert_eq!(scene.next().await, "in");

            // Half a file, what lies deeper, and what is only read are no changes.
            let half = fs::File::create(scene.path("in/half")).unwrap();
            fs::write(scene.path("in/sub/deep"), "x").unwrap();
            assert_eq!(fs::read(scene.path("in/photo")).unwrap(), b"x");
            fs::write(scene.path("other/file"), "x").unwrap();
            assert_eq!(scene.next().await, "other");
            drop(half);
            assert_eq!(scene.next().await, "in");

            fs::rename(scene.path("in/half"), scene.path("in/whole")).unwrap();
            assert_eq!(scene.next().await, "in");
            symlink("/nowhere", scene.path("in/link")).unwrap();
            assert_eq!(scene.next().await, "in");
            fs::hard_link(scene.path("in/whole"), scene.path("in/twin")).unwrap();
            assert_eq!(scene.next().await, "in");
            fs::create_dir(scene.path("in/more")).unwrap();
            assert_eq!(scene.next().await, "in");
            fs::remove_file(scene.path("in/twin")).unwrap();
            assert_eq!(scene.next().await, "in");
        })
        .await;
}

#[tokio::test]
async fn a_path_is_watched_before_it_is_there_and_after_it_went() {
    Scene::new()
        .play(async |scene| {
            scene.want(&["a/b/in"]).await;
            fs::create_dir(scene.path("a")).unwrap();
            fs::create_dir_all(scene.path("a/b/in")).unwrap();
            assert_eq!(scene.next().await, "a/b/in");
            fs::write(scene.path("a/b/in/file"), "x").unwrap();
            assert_eq!(scene.next().await, "a/b/in");

            // A folder on the way is moved, and back.
            fs::rename(scene.path("a"), scene.path("c")).unwrap();
            assert_eq!(scene.next().await, "a/b/in");
            fs::write(scene.path("c/b/in/elsewhere"), "x").unwrap();
            fs::create_dir(scene.path("a")).unwrap();
            fs::create_dir(scene.path("a/b")).unwrap();
            fs::rename(scene.path("c/b/in"), scene.path("a/b/in")).unwrap();
            assert_eq!(scene.next().await, "a/b/in");

            fs::remove_dir_all(scene.path("a")).unwrap();
            assert_eq!(scene.next().await, "a/b/in");
            // A file where the folder was, and a folder again.
            fs::write(scene.path("a"), "x").unwrap();
            fs::remove_file(scene.path("a")).unwrap();
            fs::create_dir_all(scene.path("a/b/in")).unwrap();
            assert_eq!(scene.next().await, "a/b/in");
            assert!(scene.heard.try_recv().is_err());
        })
        .await;
}

#[tokio::test]
async fn a_file_changes_when_it_is_written_replaced_or_removed() {
    Scene::new()
        .play(async |scene| {
            scene.want(&["file"]).await;
            fs::write(scene.path("file"), "1").unwrap();
            assert_eq!(scene.next().await, "file");
            fs::write(scene.path("file"), "2").unwrap();
            assert_eq!(scene.next().await, "file");
            fs::write(scene.path("new"), "3").unwrap();
            fs::rename(scene.path("new"), scene.path("file")).unwrap();
            assert_eq!(scene.next().await, "file");
            fs::write(scene.path("file"), "4").unwrap();
            assert_eq!(scene.next().await, "file");
            fs::remove_file(scene.path("file")).unwrap();
            assert_eq!(scene.next().await, "file");
            assert!(scene.heard.try_recv().is_err());
        })
        .await;
}

#[tokio::test]
async fn a_link_on_the_way_may_lead_elsewhere() {
    let scene = Scene::new();
    for folder in ["v1", "v1/in", "v2", "v2/in"] {
        fs::create_dir(scene.path(folder)).unwrap();
    }
    symlink("v1", scene.path("now")).unwrap();
    scene
        .play(async |scene| {
            scene.want(&["now/in"]).await;
            fs::write(scene.path("v1/in/file"), "x").unwrap();
            assert_eq!(scene.next().await, "now/in");
            symlink("v2", scene.path("next")).unwrap();
            fs::rename(scene.path("next"), scene.path("now")).unwrap();
            assert_eq!(scene.next().await, "now/in");
            fs::write(scene.path("v1/in/file"), "y").unwrap();
            fs::write(scene.path("v2/in/file"), "y").unwrap();
            assert_eq!(scene.next().await, "now/in");
            assert!(scene.heard.try_recv().is_err());
        })
        .await;
}

#[tokio::test]
async fn a_burst_is_told_once_in_a_gap() {
    let scene = Scene::new();
    fs::create_dir(scene.path("in")).unwrap();
    scene
        .play(async |scene| {
            scene.want(&["in"]).await;
            let begun = Instant::now();
            for n in 0..2_000 {
                fs::write(scene.path(&format!("in/{n}")), "x").unwrap();
                tokio::task::yield_now().await;
            }
            fs::write(scene.path("end"), "x").unwrap();
            assert_eq!(scene.next().await, "in");
            scene.want(&["in", "end"]).await;
            fs::write(scene.path("end"), "y").unwrap();
            let mut told = 1;
            while scene.next().await == "in" {
                told += 1;
            }
            assert!(told <= at_most(begun), "{told} times");
        })
        .await;
}

#[tokio::test]
async fn each_app_is_told_of_its_own_paths_as_long_as_it_wants_them() {
    let scene = Scene::new();
    fs::create_dir(scene.path("in")).unwrap();
    scene
        .play(async |scene| {
            scene.want(&["in", "other"]).await;
            let path = subject(scene.path("in").display().to_string());
            let both = |wanted: &mut Wanted| {
                // The stranger's user is not known: it sees nothing.
                let apps = [app("a"), app("b"), app("stranger")];
                wanted.files = [(path.clone(), apps.into())].into();
            };
            scene.wanted.send_modify(both);
            stands(&scene.post.board, Source::Files, "inotify: 1 paths").await;
            fs::write(scene.path("other"), "x").unwrap();
            fs::write(scene.path("in/file"), "x").unwrap();
            for name in ["a", "b"] {
                let (app, path) = (app(name), path.clone());
                let expected = Occurrence::FilesChanged { app, path };
                assert_eq!(next(&mut scene.heard).await, expected);
            }
            let board = &scene.post.board;
            eventually("it is withheld", async || board.counter(WITHHELD) == 1).await;
            let told = board.read().cannot_enforce;
            assert!(
                told.iter()
                    .any(|line| line.starts_with("stranger is not told"))
            );
            assert!(scene.heard.try_recv().is_err());
        })
        .await;
}

/// More happens than the kernel keeps: then all of them may have changed.
#[tokio::test]
async fn an_overflow_is_a_change_of_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (busy, quiet) = (folder.path().join("busy"), folder.path().join("quiet"));
    fs::create_dir(&busy).unwrap();
    fs::create_dir(&quiet).unwrap();
    let mut paths = Paths::new().unwrap();
    let all = [busy.clone(), quiet].into();
    paths.set(&all);
    let kept = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let kept: usize = kept.trim().parse().unwrap();
    // Three events a file.
    for n in 0..=kept / 3 {
        let file = busy.join(n.to_string());
        fs::write(&file, "").unwrap();
        fs::remove_file(&file).unwrap();
    }
    let changed = tokio::time::timeout(PATIENCE, paths.changed()).await;
    assert_eq!(changed.unwrap().unwrap(), all);
    fs::write(busy.join("after"), "").unwrap();
    let changed = tokio::time::timeout(PATIENCE, paths.changed()).await;
    assert_eq!(changed.unwrap().unwrap(), [busy].into());
}
