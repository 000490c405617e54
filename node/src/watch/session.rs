//! The session and whether its user is present, from logind.

use lull_policy::{Level, Reading, Session};

use super::bus::{Bus, Signals, Subject, follow};
use super::seat::{People, SERVICE, SIGNALS};
use super::{Post, Report, WatchError, assumed, screen};
use crate::config::Assumed;

/// Where the answers of a device without a seat come from.
pub(super) const NO_SEAT: &str = "assumed: no seat on this device";

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    follow(post, Logind(post.assume), async |post: &Post| {
        let assume = post.assume;
        let mut report = Report::default();
        if screen::there(&post.screens) {
            let (session, source) = assumed::profile(assume.session);
            report.add(Reading::Session(session), source);
            let (present, source) = assumed::profile(assume.user_present);
            report.add(Reading::UserPresent(present), source);
        } else {
            let (session, source) = assumed::lacking(assume.session, Session::None, NO_SEAT);
            report.add(Reading::Session(session), source);
            nobody(&mut report, assume);
        }
        assumed::tell(post, report).await
    })
    .await
}

/// AMB-23: without a seat nobody is present.
fn nobody(report: &mut Report, assume: Assumed) {
    let (present, source) = assumed::lacking(assume.user_present, false, NO_SEAT);
    report.add(Reading::UserPresent(present), source);
}

struct Logind(Assumed);

impl Subject for Logind {
    const LABEL: &'static str = "logind";
    const SERVICE: &'static str = SERVICE;
    const SIGNALS: &'static [Signals] = &[SIGNALS];

    async fn read(&mut self, bus: &Bus) -> zbus::Result<Report> {
        let people = People::read(bus).await?;
        let mut report = Report::default();
        report.add(Reading::Session(Level::Known(people.session())), "logind");
        match people.present() {
            Some(present) => report.add(Reading::UserPresent(present), "logind"),
            None => nobody(&mut report, self.0),
        }
        Ok(report)
    }

    fn unknown() -> Vec<Reading> {
        vec![
            Reading::Session(Level::Unknown),
            Reading::UserPresent(Level::Unknown),
        ]
    }
}
