//! Servicing of devices: whose, when, how long, and one at a time (TRGD-34 to TRGD-38).

use super::devices::{raised, service, with_devices};
use super::*;

#[test]
fn only_the_makers_app_services_on_a_pc() {
    let yes = [Capability::DeviceServicing];
    let no = [Capability::Device];
    let rows = [
        (yes, Signer::Maker, Raised::Allowed),
        (yes, Signer::Operator, Raised::DeniedBySystem),
        (yes, Signer::None, Raised::DeniedBySystem),
        (no, Signer::Maker, Raised::DeniedBySystem),
    ];
    for (capabilities, signed_by, expected) in rows {
        let mut bench = Bench::full();
        bench.install(vec![App {
            capabilities: capabilities.into(),
            signed_by,
            ..full_app("mail")
        }]);
        bench.register(request("service", Trigger::DeviceServicing));
        let answer = service(&mut bench, "mail", None, true);
        assert_eq!(
            answer,
            raised(expected),
            "TRGD-34: {capabilities:?} {signed_by:?}"
        );
    }
    for (kind, expected) in [
        (DeviceKind::Pc, "ok"),
        (DeviceKind::Phone, "unsupported"),
        (DeviceKind::Headless, "unsupported"),
    ] {
        let mut bench = Bench::full();
        bench.profile(Profile {
            kind,
            ..Profile::default()
        });
        let answer = bench.try_register(request("service", Trigger::DeviceServicing));
        assert_eq!(refusal(&answer), expected, "{kind:?}");
    }
}

#[test]
fn servicing_needs_a_charge_or_power() {
    let rows = [
        (false, 329, Raised::LowBattery),
        (false, 330, Raised::LowBattery),
        (false, 331, Raised::Allowed),
        (true, 10, Raised::Allowed),
    ];
    for (power, tenths, expected) in rows {
        let mut bench = with_devices();
        bench.read(&[
            Reading::ExternalPower(Level::Known(power)),
            Reading::Battery(Level::Known(PerMille::new(tenths))),
        ]);
        let answer = service(&mut bench, "mail", None, true);
        assert_eq!(answer, raised(expected), "TRGD-37: {power} {tenths}");
    }
}

#[test]
fn servicing_is_expected_to_take_less_than_half_an_hour() {
    let limit = 30 * MINUTE;
    let rows = [
        (None, "ok"),
        (Some(0), "ok"),
        (Some(limit - 1), "ok"),
        (Some(limit), "invalid-argument"),
        (Some(limit + 1), "invalid-argument"),
    ];
    for (expected, answer) in rows {
        let mut bench = with_devices();
        let found = service(&mut bench, "mail", expected.map(Span::millis), true);
        assert_eq!(refusal(&found), answer, "TRGD-37: {expected:?}");
    }
}

#[test]
fn servicing_is_consented_to_each_time_and_one_at_a_time() {
    let mut bench = with_devices();
    assert_eq!(
        service(&mut bench, "mail", None, true),
        raised(Raised::Allowed)
    );
    for app in ["mail", "news"] {
        let answer = service(&mut bench, app, None, true);
        assert_eq!(answer, raised(Raised::CurrentlyRunning), "TRGD-38: {app}");
    }
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.device.runs().count(), 0, "it never queues");
    assert_eq!(
        service(&mut bench, "mail", None, false),
        raised(Raised::DeniedByUser)
    );
    assert_eq!(
        service(&mut bench, "mail", None, true),
        raised(Raised::Allowed)
    );
}

#[test]
fn servicing_has_half_an_hour() {
    let mut bench = with_devices();
    service(&mut bench, "mail", None, true);
    bench.start(1);
    bench.go(1_795 * SECOND - 1);
    assert_eq!(bench.cancels(), []);
    bench.go(1);
    assert_eq!(bench.cancels(), [(1, CancelReason::ExecutionTimeExceeded)]);
    assert_eq!(kills(&bench.go(5 * SECOND - 1)), [0; 0]);
    assert_eq!(kills(&bench.go(1)), [1], "TRGD-37");
}
