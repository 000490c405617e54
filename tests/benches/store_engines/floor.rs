//! The floor: the rows' bytes appended to one file, fdatasync for each commit. No index, nothing can be found again.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Result;

use super::rows::{Batch, flat};

pub(crate) struct Log(File);

impl Log {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self(File::create(path)?))
    }

    pub(crate) fn append(&mut self, batch: &Batch) -> Result<()> {
        let mut bytes = Vec::new();
        for push in &batch.pushes {
            bytes.extend(flat::push_value(push, false));
            bytes.extend(&push.body);
            bytes.extend(flat::target_key(push));
            bytes.extend(flat::mail_key(push));
            bytes.extend(flat::mail_value(push));
        }
        self.0.write_all(&bytes)?;
        self.0.sync_data()?;
        Ok(())
    }
}
