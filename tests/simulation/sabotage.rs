//! The simulation can fail: a machine with one decision broken on purpose is found out, its life shrunk to a few steps in
//! which a sound machine breaks nothing, and the scenario that is written of it can be read.

use std::path::Path;

use lull_policy::Broken;
use lull_testkit::Scenario;

use crate::fleet;
use crate::report;
use crate::world::Options;

/// Device-weeks within which a broken decision is found.
const WITHIN: u64 = 400;

/// What is left of a life at most.
const STEPS: usize = 40;

fn is_found(broken: Broken) {
    let options = Options {
        broken: Some(broken),
        ..Options::default()
    };
    let fleet = fleet::run(1, WITHIN, options);
    let (seed, breach) = fleet
        .breaches
        .first()
        .unwrap_or_else(|| panic!("{broken:?} was not found in {} device-weeks", fleet.weeks));
    let options = fleet::options_of(*seed, options);
    let written = report::write_down(*seed, breach, options);
    let left = written.shrunk.plan.steps.len();
    assert!(
        left <= STEPS,
        "{broken:?}: {left} steps are left:\n{}",
        written.scenario
    );
    let sound = fleet::live(&written.shrunk.plan, Options::default());
    assert_eq!(
        sound.breach, None,
        "{broken:?}: what was found is there without it too"
    );
    let scenario = Scenario::read(Path::new(&written.file), &written.scenario);
    if let Err(error) = scenario {
        panic!("{broken:?}: {error}\n{}", written.scenario);
    }
}

macro_rules! found {
    ($($name:ident: $broken:ident,)*) => {
        $(
            #[test]
            fn $name() {
                is_found(Broken::$broken);
            }
        )*
    };
}

found! {
    a_duplicate_that_runs: DuplicateRuns,
    a_loss_that_is_ignored: LossIgnored,
    a_saver_that_never_cancels: SaverNeverCancels,
    an_exemption_that_is_ignored: ExemptionIgnored,
    a_one_shot_that_is_never_spent: OneShotNeverSpent,
    a_time_class_for_all: OneTimeClass,
    an_agent_that_is_asked: ScheduledGetsGrace,
    a_time_out_that_is_a_crash: TimeOutIsACrash,
    a_memory_exit_that_is_no_crash: MemoryIsNoCrash,
    an_abort_that_keeps_its_schedule: AbortKeepsSchedule,
    a_renewal_that_nobody_chose: RenewalNeedsNoChoice,
    nothing_that_expires: NothingExpires,
    a_stretch_that_is_not_counted: StretchNotCounted,
    standby_that_keeps_the_network: StandbyKeepsNetwork,
    a_grant_that_is_never_stale: GrantNeverStale,
    a_debugger_that_is_ignored: DebuggerIgnored,
    a_baseline_that_fires: BaselineFires,
    a_latch_that_outlives_its_registration: LatchesOutlive,
    an_update_of_a_card_that_renews_nothing: NothingRenews,
    an_upload_that_is_ignored: AutoUploadIgnored,
    an_update_that_nobody_hears_of: UpdateSkipped,
    a_boot_that_keeps_every_latch: RebootKeepsAll,
    an_app_that_need_not_be_in_the_foreground: ForegroundNotNeeded,
    a_firing_that_is_dropped_where_it_should_wait: UnmetIsDropped,
    a_crash_counter_that_is_never_cleared: CounterNeverCleared,
    a_priority_that_does_nothing: PriorityIgnored,
}
