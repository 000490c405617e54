//! `lull devices`: the fleet's devices, with what waits for each.

use lull_proto::fleet::v1::ListDevicesRequest;

use crate::command::Global;
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::output::{Output, Rows};
use crate::view::DeviceView;
use crate::words::Reader;

/// Devices asked for at once: the coordinator's bound.
const PAGE: u32 = 1_000;

/// Runs the verb.
pub(crate) async fn run(global: &Global, output: &Output) -> Result<(), Failure> {
    let devices = list(&Coordinator::of(global).await?).await?;
    if output.json() {
        output.document(&serde_json::json!({ "devices": devices }));
    } else {
        let empty = "no device has joined; `lull enroll` makes a token for one";
        output.table(&table(&devices, &Reader::here()), empty);
    }
    Ok(())
}

/// Every device of the fleet, by id.
pub(crate) async fn list(coordinator: &Coordinator) -> Result<Vec<DeviceView>, Failure> {
    let mut devices = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListDevicesRequest {
            page_size: PAGE,
            page_token,
        };
        let answer = coordinator
            .fleet()
            .list_devices(Coordinator::request(request))
            .await;
        let page = answer
            .map_err(|status| coordinator.failure(&status))?
            .into_inner();
        devices.extend(page.devices.into_iter().map(DeviceView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(devices);
        }
    }
}

fn table(devices: &[DeviceView], reader: &Reader) -> Rows {
    let mut rows = Rows::new(["DEVICE", "NAME", "SEEN", "WAITS", "APPS"]);
    for device in devices {
        let seen = match (device.connected, device.last_seen) {
            (true, _) => "now".to_owned(),
            (false, Some(at)) => reader.ago(at),
            (false, None) => "never".to_owned(),
        };
        let labels = device
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let name: Vec<String> = std::iter::once(device.name.clone()).chain(labels).collect();
        rows.push([
            device.id.clone(),
            name.join(
                "
",
            ),
            seen,
            device.waiting.to_string(),
            device.apps.join(" "),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn devices_fit_eighty_columns() {
        let reader = Reader {
            zone: TimeZone::UTC,
            now: "2026-03-02T08:00:00Z".parse().unwrap(),
        };
        let device = |id: &str, connected| DeviceView {
            id: id.to_owned(),
            name: "kiosk-17".to_owned(),
            labels: [("site".to_owned(), "hall-2".to_owned())].into(),
            connected,
            last_seen: Some("2026-03-02T07:59:01Z".parse().unwrap()),
            enrolled_at: None,
            waiting: 3,
            apps: vec![
                "photos".to_owned(),
                "reports".to_owned(),
                "inbox".to_owned(),
            ],
            node_version: "0.1.0".to_owned(),
        };
        let devices = [
            device("0190a4c2-7f5e-7c3a-9d1b-3f2e8a6b4c5d", true),
            device("0190a4c2-7f5e-7c3a-9d1b-3f2e8a6b4c5e", false),
        ];
        let text = table(&devices, &reader).render(80);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}
