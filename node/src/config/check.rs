//! Single values: what each may be, and what to say where it is not.

use std::path::{Component, Path, PathBuf};

/// Most bytes of a log filter.
const FILTER_LIMIT: usize = 256;

/// An absolute path without `..`.
pub(crate) fn path(text: &str, limit: usize) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("{text:?} is not an absolute path"));
    }
    if text.len() > limit {
        let length = text.len();
        return Err(format!(
            "the path has {length} bytes, at most {limit} are accepted"
        ));
    }
    if text.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{text:?} must not have \"..\" or NUL in it"));
    }
    Ok(path.to_owned())
}

/// The name of a cage.
pub(super) fn cage(name: &str) -> Result<String, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(valid) || name.starts_with('.') {
        return Err(format!(
            "{name:?} is not a cage's name: 1 to 64 letters, digits, '-', '_', '.', not beginning with '.'"
        ));
    }
    Ok(name.to_owned())
}

/// A log level or filter.
pub(super) fn filter(level: &str) -> Result<String, String> {
    let fits = !level.trim().is_empty() && level.len() <= FILTER_LIMIT;
    if fits && tracing_subscriber::EnvFilter::try_new(level).is_ok() {
        return Ok(level.to_owned());
    }
    Err(format!(
        "{level:?} is no log level; write error, warn, info, debug or trace, or a filter such as \"info,lull_node::link=debug\" of at most {FILTER_LIMIT} bytes"
    ))
}

/// What is wrong with a label.
pub(super) fn label(key: &str, value: &str) -> Option<String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let wrong = |text: &str| text.is_empty() || text.len() > 63 || !text.chars().all(valid);
    let part = if wrong(key) {
        key
    } else if wrong(value) {
        value
    } else {
        return None;
    };
    Some(format!(
        "{part:?} is not 1 to 63 letters, digits, '-', '_', '.', '/'"
    ))
}
