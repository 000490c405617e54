//! An error with all its causes in one line, for logs and for texts that leave the process.

use std::error::Error;

/// The whole chain, joined by ": ".
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_named() {
        let cause = std::io::Error::other("the disk is gone");
        let error = crate::clock::BootError::Read(cause);
        assert!(
            chain(&error).ends_with("boot_id: the disk is gone"),
            "{}",
            chain(&error)
        );
    }
}
