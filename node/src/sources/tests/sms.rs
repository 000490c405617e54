//! Text messages (TRG-04), from the mock of ModemManager.

use std::collections::HashMap;

use zbus::{ObjectPath, Variant};

use super::*;
use crate::watch::bus::Bus;
use crate::watch::tests::stage::{MOCK, Stage, tell};

const SERVICE: &str = "org.freedesktop.ModemManager1";
const MODEM: &str = "/org/freedesktop/ModemManager1/Modems/8";

async fn modem(bus: &Bus) {
    let main = "/org/freedesktop/ModemManager1";
    tell(bus, SERVICE, main, (MOCK, "AddSimpleModem"), &()).await;
    // The mock has no messages of its own.
    let properties = HashMap::from([("DefaultStorage", Variant::from(1_u32))]);
    let messaging = ("org.freedesktop.ModemManager1.Modem.Messaging", properties);
    tell(bus, SERVICE, MODEM, (MOCK, "AddProperties"), &messaging).await;
}

async fn added(bus: &Bus, received: bool) {
    let message = ObjectPath::try_from("/org/freedesktop/ModemManager1/SMS/0").unwrap();
    let values = vec![Variant::from(message), Variant::from(received)];
    let signal = (
        "org.freedesktop.ModemManager1.Modem.Messaging",
        "Added",
        "ob",
        values,
    );
    tell(bus, SERVICE, MODEM, (MOCK, "EmitSignal"), &signal).await;
}

#[tokio::test]
async fn messages_that_come_in_are_told() {
    let mut stage = Stage::start().await;
    let (mut post, mut heard) = post();
    post.bus = Some(stage.address());
    let sms = || Occurrence::SmsReceived { app: None };
    let test = async {
        stands(&post.board, Source::Sms, "ModemManager").await;
        stage.mock("modemmanager", SERVICE).await;
        let bus = stage.connect().await;
        modem(&bus).await;
        // One that is written here is none that came in.
        added(&bus, false).await;
        added(&bus, true).await;
        assert_eq!(next(&mut heard).await, sms());

        // The service dies and comes back.
        stage.kill();
        stage.mock("modemmanager", SERVICE).await;
        modem(&bus).await;
        added(&bus, false).await;
        assert!(heard.try_recv().is_err());
        added(&bus, true).await;
        assert_eq!(next(&mut heard).await, sms());
    };
    beside(super::super::sms::watch(&post), test).await;
}
