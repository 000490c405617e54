//! The enrolled identity (TRG-03).

use super::*;
use crate::link::tests::authority::Authority;

#[tokio::test]
async fn the_identity_comes_changes_and_goes_and_a_renewal_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let (mut post, mut heard) = post();
    post.identity = folder.path().join("identity");
    let authority = Authority::new();
    let enrol = |device: &str| authority.enrol(&post.identity, device, "127.0.0.1:7443", 1);
    let test = async {
        stands(&post.board, Source::Identity, "inotify").await;
        enrol("device-1");
        assert_eq!(next(&mut heard).await, Occurrence::OnlineIdChanged);
        enrol("device-1");
        enrol("device-2");
        assert_eq!(next(&mut heard).await, Occurrence::OnlineIdChanged);
        // As people are told to do to enrol anew.
        std::fs::rename(&post.identity, folder.path().join("old")).unwrap();
        assert_eq!(next(&mut heard).await, Occurrence::OnlineIdChanged);
        // A folder, and a key alone, are no identity.
        std::fs::create_dir(&post.identity).unwrap();
        std::fs::write(post.identity.join("key.pem"), "").unwrap();
        // Damaged: what was known before counts.
        std::fs::write(post.identity.join("device.json"), "{").unwrap();
        enrol("device-3");
        assert_eq!(next(&mut heard).await, Occurrence::OnlineIdChanged);
        assert!(heard.try_recv().is_err());
    };
    beside(super::super::identity::watch(&post), test).await;
}
