#!/usr/bin/env python3
"""Shows that check_demo.py can fail: check_sabotage.py LULL_WITH_SABOTAGE FOLDER

Runs the demonstration with one promise broken on purpose at a time, and requires that the check, from the evidence
alone, fails for the claims of that promise and for no claim that has nothing to do with it.
"""

import os
import subprocess
import sys

from check_demo import judge

# The switch; claims that must fail; claims that must hold all the same.
CASES = [
    ("limits", {"stubborn", "glutton"}, {"enrolment", "photos", "condition", "arrived", "adoption"}),
    ("deduplication", {"accepted", "arrived"}, {"enrolment", "photos", "stubborn", "glutton", "adoption"}),
    # A push that is not durable when it is answered cannot be followed at once either, so photos may fail.
    ("before-commit", {"outage", "arrived"}, {"enrolment", "stubborn", "glutton", "adoption"}),
]
# The demonstration takes a minute; a run that is not ended and a store that is slow are waited for.
DEADLINE = 400


def run(lull, folder, switch):
    """Runs the sabotaged demonstration; answers the path of its report."""
    os.makedirs(folder)
    report = os.path.join(folder, "report.json")
    command = [lull, "--state", os.path.join(folder, "state"), "up", "--demo", "--keep-going", "--report", report]
    with open(os.path.join(folder, "demo.log"), "wb") as log:
        ended = subprocess.run(
            command,
            env=os.environ | {"LULL_SABOTAGE": switch},
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
        )
    print(f"{switch}: the demonstration itself ended with {ended.returncode}", flush=True)
    return report


def main():
    """Runs all cases; exit 1 if the check did not notice one."""
    if len(sys.argv) != 3:
        sys.exit("usage: check_sabotage.py LULL_WITH_SABOTAGE FOLDER")
    lull, out = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    wrong = 0
    for switch, must_fail, must_hold in CASES:
        verdicts = judge(run(lull, os.path.join(out, switch), switch))
        failed = {name for name, _, holds, _ in verdicts if not holds}
        held = {name for name, _, holds, _ in verdicts if holds}
        for name, _, holds, detail in verdicts:
            if not holds:
                print(f"    {name}: {detail}")
        unnoticed, blamed = must_fail - failed, must_hold - held
        if unnoticed or blamed:
            wrong += 1
            print(f"FAIL  {switch}: not noticed: {sorted(unnoticed)}; wrongly blamed: {sorted(blamed)}")
        else:
            print(f"PASS  {switch}: the check fails for {sorted(failed)}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
