//! Sessions as logind has them: who is at this device.
//!
//! Only sessions of people count (class `user`, not closing); a greeter, a service manager and a background job are nobody.

use lull_policy::{Level, Session};
use zbus::OwnedObjectPath;

use super::bus::{At, Bus, Properties, Signals, is_gone};

pub(super) const SERVICE: &str = "org.freedesktop.login1";
const MANAGER: &str = "/org/freedesktop/login1";
const MANAGER_INTERFACE: &str = "org.freedesktop.login1.Manager";

/// Sessions that are looked at; a terminal server has hundreds.
const SESSIONS: usize = 1_024;

/// What tells that somebody came, went, locked or unlocked: all of it below logind's own object.
pub(super) const SIGNALS: Signals = Signals {
    service: SERVICE,
    at: At::Below(MANAGER),
    interface: None,
};

/// One session of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seated {
    /// In the foreground of its seat, or remote and connected.
    active: bool,
    /// It has a screen of its own here.
    graphical: bool,
    /// It is at a seat of this device.
    here: bool,
    locked: Option<bool>,
    idle: Option<bool>,
}

/// Everybody at this device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct People {
    sessions: Vec<Seated>,
    /// Users whose services run without a session.
    lingering: bool,
    /// This device has seats.
    seats: bool,
}

impl People {
    pub(super) async fn read(bus: &Bus) -> zbus::Result<Self> {
        let seats: Vec<(String, OwnedObjectPath)> = list(bus, "ListSeats").await?;
        let listed: Vec<(String, u32, String, String, OwnedObjectPath)> =
            list(bus, "ListSessions").await?;
        let mut sessions = Vec::new();
        for (_, _, _, seat, path) in listed.into_iter().take(SESSIONS) {
            let interface = "org.freedesktop.login1.Session";
            match bus.properties(SERVICE, path.as_str(), interface).await {
                Ok(session) => sessions.extend(Seated::of(&session, !seat.is_empty())),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let lingering = sessions.is_empty() && Self::lingering(bus).await?;
        let seats = !seats.is_empty();
        Ok(Self {
            sessions,
            lingering,
            seats,
        })
    }

    /// Whether the services of some user run without a session.
    async fn lingering(bus: &Bus) -> zbus::Result<bool> {
        let users: Vec<(u32, String, OwnedObjectPath)> = list(bus, "ListUsers").await?;
        for (_, _, path) in users.into_iter().take(SESSIONS) {
            let interface = "org.freedesktop.login1.User";
            match bus.properties(SERVICE, path.as_str(), interface).await {
                Ok(user) if user.text("State") == Some("lingering") => return Ok(true),
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// CND-24, CND-25: logged on and active, logged on and away, nobody.
    pub(super) fn session(&self) -> Session {
        if self.sessions.iter().any(|session| session.active) {
            return Session::Connected;
        }
        // AMB-23: without a seat there is nobody to switch away from; what lingers is connected.
        match (self.sessions.is_empty(), self.lingering && !self.seats) {
            (true, true) => Session::Connected,
            (true, false) => Session::None,
            (false, _) => Session::Disconnected,
        }
    }

    /// CND-20: somebody's session is active at a seat, not locked, and not idle. Absent where there is no seat.
    pub(super) fn present(&self) -> Option<Level<bool>> {
        if !self.seats {
            return None;
        }
        let here = self.sessions.iter().filter(|s| s.active && s.here);
        let mut present = Level::Known(false);
        for session in here {
            match (session.locked, session.idle) {
                (Some(false), Some(false)) => return Some(Level::Known(true)),
                (Some(true), _) | (_, Some(true)) => {}
                (None, _) | (_, None) => present = Level::Unknown,
            }
        }
        Some(present)
    }

    /// INT-05: every active graphical session is locked; nobody's is too. Absent where there is no seat.
    pub(super) fn locked(&self) -> Option<Level<bool>> {
        if !self.seats {
            return None;
        }
        let graphical = self.sessions.iter().filter(|s| s.active && s.graphical);
        let mut locked = Level::Known(true);
        for session in graphical {
            match session.locked {
                Some(true) => {}
                Some(false) => return Some(Level::Known(false)),
                None => locked = Level::Unknown,
            }
        }
        // A person at a text console has no lock to show.
        let at_console = self
            .sessions
            .iter()
            .any(|s| s.active && s.here && !s.graphical);
        Some(if at_console {
            Level::Known(false)
        } else {
            locked
        })
    }

    /// Nobody at this device does anything.
    pub(super) fn idle(&self) -> bool {
        let active = self.sessions.iter().filter(|s| s.active);
        active.into_iter().all(|session| session.idle == Some(true))
    }
}

impl Seated {
    /// Nothing for what is no person's, or is being closed.
    fn of(session: &Properties, here: bool) -> Option<Self> {
        let state = session.text("State")?;
        let person = session.text("Class").is_none_or(|class| class == "user");
        if !person || state == "closing" {
            return None;
        }
        let kind = session.text("Type").unwrap_or_default();
        Some(Self {
            active: session.flag("Active").unwrap_or(state == "active"),
            graphical: ["x11", "wayland", "mir"].contains(&kind),
            here,
            locked: session.flag("LockedHint"),
            idle: session.flag("IdleHint"),
        })
    }
}

async fn list<R: serde::de::DeserializeOwned + zbus::Type>(
    bus: &Bus,
    what: &str,
) -> zbus::Result<R> {
    bus.call(SERVICE, MANAGER, MANAGER_INTERFACE, what, &())
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(active: bool, locked: bool, idle: bool) -> Seated {
        Seated {
            active,
            graphical: true,
            here: true,
            locked: Some(locked),
            idle: Some(idle),
        }
    }

    fn people(sessions: &[Seated]) -> People {
        People {
            sessions: sessions.to_vec(),
            lingering: false,
            seats: true,
        }
    }

    #[test]
    fn somebody_is_present_who_is_active_unlocked_and_not_idle() {
        let rows = [
            (vec![], false),
            (vec![at(true, false, false)], true),
            (vec![at(true, true, false)], false),
            (vec![at(true, false, true)], false),
            (vec![at(false, false, false)], false),
            (vec![at(false, false, false), at(true, false, false)], true),
        ];
        for (sessions, present) in rows {
            let found = people(&sessions).present();
            assert_eq!(found, Some(Level::Known(present)), "{sessions:?}");
        }
        assert_eq!(People::default().present(), None, "no seat");
    }

    #[test]
    fn an_unread_hint_leaves_presence_and_lock_unknown() {
        let mut session = at(true, false, false);
        session.locked = None;
        let found = people(&[session]);
        assert_eq!(found.present(), Some(Level::Unknown));
        assert_eq!(found.locked(), Some(Level::Unknown));
    }

    #[test]
    fn the_screen_is_locked_when_every_active_graphical_session_is() {
        let rows = [
            (vec![], true),
            (vec![at(true, true, false)], true),
            (vec![at(true, true, false), at(true, false, false)], false),
            (vec![at(false, false, false)], true),
        ];
        for (sessions, locked) in rows {
            let found = people(&sessions).locked();
            assert_eq!(found, Some(Level::Known(locked)), "{sessions:?}");
        }
        let mut console = at(true, false, false);
        console.graphical = false;
        assert_eq!(people(&[console]).locked(), Some(Level::Known(false)));
    }

    #[test]
    fn a_session_switched_away_is_disconnected() {
        assert_eq!(people(&[]).session(), Session::None);
        let away = at(false, false, false);
        assert_eq!(
            people(std::slice::from_ref(&away)).session(),
            Session::Disconnected
        );
        let both = people(&[away, at(true, true, true)]);
        assert_eq!(both.session(), Session::Connected);
        let server = People {
            lingering: true,
            ..People::default()
        };
        assert_eq!(server.session(), Session::Connected);
    }
}
