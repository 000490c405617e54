//! A push runs `photo-sync` on real files.

use std::fs;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::seat::{PROMPT, Seat, completed, ending, hops, show_chain};
use super::step::Step;
use crate::failure::Failure;
use crate::up::{manifests, samples};
use crate::words::{bytes, count};

#[derive(Debug, Serialize)]
struct Copied {
    name: String,
    from: String,
    to: String,
    size: u64,
    sha256_from: String,
    sha256_to: Option<String>,
}

/// Runs the step.
pub(super) async fn run(seat: &Seat) -> Step {
    let mut step = Step::new("photos", "A push runs photo-sync on real files");
    let result = work(seat, &mut step).await;
    step.end(result)
}

async fn work(seat: &Seat, step: &mut Step) -> Result<(), Failure> {
    let sent = seat.send("photos", "sync now", "").await?;
    step.keep("push_id", &sent.push_id);
    let receipts = seat.receipts(&sent.push_id, PROMPT).await?;
    show_chain(step, &receipts);
    step.keep("receipts", &receipts);
    step.claim(
        "the push is followed hop by hop to a completed run",
        completed(&receipts) && hops(&receipts) == "accepted → delivered → started → finished",
        format!("{}, {}", hops(&receipts), ending(&receipts)),
    );
    let run = seat.ended("photos", &sent.push_id).await?;
    step.keep("run", &run);
    let files = compare(seat)
        .map_err(|error| Failure::internal("cannot compare the copies", &error.into()))?;
    let same = files
        .iter()
        .filter(|file| file.sha256_to.as_ref() == Some(&file.sha256_from))
        .count();
    let size = files.iter().map(|file| file.size).sum();
    step.claim(
        "each copy has the SHA-256 of its original",
        same == files.len() && files.len() == samples::SIZES.len(),
        format!(
            "{same} of {}, {}",
            count(files.len() as u64, "file"),
            bytes(size)
        ),
    );
    step.keep("files", &files);
    Ok(())
}

fn compare(seat: &Seat) -> std::io::Result<Vec<Copied>> {
    let from = manifests::photos_folder(&seat.folder);
    let to = seat
        .app_state("photos")
        .join(lull_examples::photo_sync::TARGET);
    let mut files = Vec::new();
    for entry in fs::read_dir(&from)? {
        let name = entry?.file_name();
        let (from, to) = (from.join(&name), to.join(&name));
        let content = fs::read(&from)?;
        files.push(Copied {
            name: name.to_string_lossy().into_owned(),
            size: content.len() as u64,
            sha256_from: sha256(&content),
            sha256_to: fs::read(&to).ok().map(|copy| sha256(&copy)),
            from: from.to_string_lossy().into_owned(),
            to: to.to_string_lossy().into_owned(),
        });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// A SHA-256 in hexadecimal.
pub(super) fn sha256(content: &[u8]) -> String {
    let hash = digest(&SHA256, content);
    let digits = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}
