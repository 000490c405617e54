//! What registrations can name, by its form: a name of the app's own, a path (TRG-48), a device
//! or several (TRG-46), a signal of the bus (TRG-47).
//!
//! What an app or a manifest writes is checked here, so that it is not accepted in silence what could never fire.

use lull_policy::{NameError, Subject};
use zbus::names::{InterfaceName, MemberName, WellKnownName};

use super::devices;

/// Parts of a path. Each is a folder that the kernel watches: 32 paths of an app take 544 watches at most.
pub(crate) const DEPTH: usize = 16;

/// Where the kernel shows itself: what changes there is not told as changes of files.
const KERNEL: [&str; 2] = ["/proc", "/sys"];

/// Why a name cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SubjectError {
    /// It is no name at all.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A path from nowhere.
    #[error(
        "path {path:?} does not begin at the root; write the whole path, such as \"/srv/inbox\""
    )]
    Relative {
        /// The path.
        path: String,
    },
    /// A path that can be written in other ways.
    #[error(
        "path {path:?} has the part {part:?}; write it without empty parts, \".\" and \"..\", and without \"/\" at its end"
    )]
    Part {
        /// The path.
        path: String,
        /// Its part.
        part: String,
    },
    /// A path too far from the root.
    #[error(
        "path {path:?} has {depth} parts, at most {DEPTH} are accepted; name a folder nearer to the root"
    )]
    Depth {
        /// The path.
        path: String,
        /// Parts it has.
        depth: usize,
    },
    /// A path where nothing is heard.
    #[error("path {path:?} is below {below}, where changes are not told; name a path elsewhere")]
    Kernel {
        /// The path.
        path: String,
        /// Where.
        below: &'static str,
    },
    /// A star that is not at the end.
    #[error("pattern {pattern:?} has a \"*\" before its end; only a final one stands for anything")]
    Star {
        /// The pattern.
        pattern: String,
    },
    /// No device is called so.
    #[error(
        "pattern {pattern:?} is of no kind of device that is watched; begin with one of {}, such as \"usb:046d:*\"",
        devices::kinds()
    )]
    Kind {
        /// The pattern.
        pattern: String,
    },
    /// Numbers of makers are written in one way.
    #[error("pattern {pattern:?} has capital letters; write {:?}", pattern.to_ascii_lowercase())]
    Capitals {
        /// The pattern.
        pattern: String,
    },
    /// No signal is called so.
    #[error(
        "event {event:?} {problem}; write the service and its signal, such as \"com.example.Door com.example.Door1.Opened\""
    )]
    Signal {
        /// The event.
        event: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// A name that the app gives and the node compares: of a socket or a control channel.
pub(crate) fn plain(text: &str) -> Result<Subject, SubjectError> {
    Ok(Subject::new(text)?)
}

/// A path: from the root, in its plain form.
pub(crate) fn path(text: &str) -> Result<Subject, SubjectError> {
    let subject = Subject::new(text)?;
    let path = || text.to_owned();
    let Some(rest) = text.strip_prefix('/') else {
        return Err(SubjectError::Relative { path: path() });
    };
    if let Some(part) = rest.split('/').find(|part| ["", ".", ".."].contains(part)) {
        let part = part.to_owned();
        return Err(SubjectError::Part { path: path(), part });
    }
    let depth = rest.split('/').count();
    if depth > DEPTH {
        return Err(SubjectError::Depth {
            path: path(),
            depth,
        });
    }
    let first = rest.split('/').next().unwrap_or_default();
    match KERNEL.into_iter().find(|kernel| kernel[1..] == *first) {
        Some(below) => Err(SubjectError::Kernel {
            path: path(),
            below,
        }),
        None => Ok(subject),
    }
}

/// A device, or the beginning of its name before a final `*`. How devices are called stands in [`devices`].
pub(crate) fn pattern(text: &str) -> Result<Subject, SubjectError> {
    let subject = Subject::new(text)?;
    let pattern = || text.to_owned();
    let (beginning, open) = match text.strip_suffix('*') {
        Some(beginning) => (beginning, true),
        None => (text, false),
    };
    if beginning.contains('*') {
        return Err(SubjectError::Star { pattern: pattern() });
    }
    let known = match beginning.split_once(':') {
        Some((kind, _name)) => devices::KINDS.iter().any(|known| known.word == kind),
        None => open && devices::KINDS.iter().any(|k| k.word.starts_with(beginning)),
    };
    if !known {
        return Err(SubjectError::Kind { pattern: pattern() });
    }
    let numbered = ["usb:", "pci:"].iter().any(|kind| text.starts_with(kind));
    if numbered && text.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(SubjectError::Capitals { pattern: pattern() });
    }
    Ok(subject)
}

/// A signal of a service of the system bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signal {
    /// The service's name; whoever owns it may say the signal, and nobody else.
    pub(crate) service: String,
    /// The interface.
    pub(crate) interface: String,
    /// The signal.
    pub(crate) member: String,
}

impl Signal {
    /// Reads `service interface.Member`.
    pub(crate) fn parse(text: &str) -> Result<Self, SubjectError> {
        let wrong = |problem| SubjectError::Signal {
            event: text.to_owned(),
            problem,
        };
        let words: Vec<&str> = text.split(' ').collect();
        let [service, signal] = *words else {
            return Err(wrong("is not two words with one space between"));
        };
        let (interface, member) = signal
            .rsplit_once('.')
            .ok_or_else(|| wrong("names a signal without its interface"))?;
        WellKnownName::try_from(service).map_err(|_no| wrong("does not begin with a service"))?;
        InterfaceName::try_from(interface).map_err(|_no| wrong("names no interface"))?;
        MemberName::try_from(member).map_err(|_no| wrong("names no signal"))?;
        Ok(Self {
            service: service.to_owned(),
            interface: interface.to_owned(),
            member: member.to_owned(),
        })
    }
}

/// An event of the bus: a signal.
pub(crate) fn event(text: &str) -> Result<Subject, SubjectError> {
    let subject = Subject::new(text)?;
    Signal::parse(text)?;
    Ok(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(checked: Result<Subject, SubjectError>) -> String {
        match checked {
            Ok(_subject) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths() {
        let deep = |parts: usize| "/a".repeat(parts);
        assert_eq!(words(path("/srv/in box/ä")), "");
        assert_eq!(words(path(&deep(DEPTH))), "");
        assert_eq!(words(path("/process/x")), "");
        let rows = [
            ("", "name must have 1 to 1024 bytes, this one has 0"),
            (
                "srv/inbox",
                "path \"srv/inbox\" does not begin at the root; write the whole path, such as \"/srv/inbox\"",
            ),
            (
                "/",
                "path \"/\" has the part \"\"; write it without empty parts, \".\" and \"..\", and without \"/\" at its end",
            ),
            (
                "/srv/../etc",
                "path \"/srv/../etc\" has the part \"..\"; write it without empty parts, \".\" and \"..\", and without \"/\" at its end",
            ),
            (
                "/proc/1",
                "path \"/proc/1\" is below /proc, where changes are not told; name a path elsewhere",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(words(path(text)), expected, "{text}");
        }
        let error = words(path(&deep(DEPTH + 1)));
        assert!(error.contains("has 17 parts, at most 16"), "{error}");
    }

    #[test]
    fn patterns() {
        for text in [
            "*",
            "us*",
            "usb:*",
            "usb:046d:*",
            "usb:046d:c52b:1-1.2",
            "tty:ttyUSB0",
        ] {
            assert_eq!(words(pattern(text)), "", "{text}");
        }
        let rows = [
            (
                "usb:*:c52b",
                "pattern \"usb:*:c52b\" has a \"*\" before its end",
            ),
            (
                "usb:046D:*",
                "pattern \"usb:046D:*\" has capital letters; write \"usb:046d:*\"",
            ),
            ("usb", "pattern \"usb\" is of no kind of device"),
            ("scale-1", "pattern \"scale-1\" is of no kind of device"),
            ("net:eth*", "pattern \"net:eth*\" is of no kind of device"),
        ];
        for (text, expected) in rows {
            let error = words(pattern(text));
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let error = words(pattern("x:y"));
        assert!(error.ends_with("begin with one of usb, pci, mmc, block, tty, sound, video4linux, hidraw, bluetooth, such as \"usb:046d:*\""), "{error}");
    }

    #[test]
    fn events() {
        assert_eq!(
            words(event("com.example.Door com.example.Door1.Opened")),
            ""
        );
        let rows = [
            ("door", "is not two words with one space between"),
            ("a.b  c.d.E", "is not two words with one space between"),
            (
                "com.example.Door Opened",
                "names a signal without its interface",
            ),
            (
                ":1.7 com.example.Door1.Opened",
                "does not begin with a service",
            ),
            ("com.example.Door com.Opened", "names no interface"),
            (
                "com.example.Door com.example.Door1.Op-ened",
                "names no signal",
            ),
        ];
        for (text, problem) in rows {
            let expected = format!(
                "event {text:?} {problem}; write the service and its signal, such as \"com.example.Door com.example.Door1.Opened\""
            );
            assert_eq!(words(event(text)), expected);
        }
    }
}
