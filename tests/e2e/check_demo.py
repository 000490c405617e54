#!/usr/bin/env python3
"""Judges a run of `lull up --demo` anew: check_demo.py REPORT

Derives each claim from the evidence in the report, both daemons' stores, the files the agents left, and /proc. It trusts
no judgement of the report's own (its "claims" are not read). Prints PASS or FAIL for each claim; exit 1 if any failed.
"""

import json
import os
import sys

from evidence import CoordinatorStore, NodeStore, TERMINAL, alive, boot_id, cages, mentioning, millis, sha256

CLAIMS = []


def claim(name):
    """Registers a claim: a function of the evidence that raises AssertionError where it does not hold."""

    def register(function):
        CLAIMS.append((name, function))
        return function

    return register


class Evidence:
    """The report with what it points to."""

    def __init__(self, report):
        self.report = report
        self.state = report["paths"]["state"]
        self.coordinator = CoordinatorStore(report["paths"]["coordinator"])
        self.node = NodeStore(report["paths"]["node"])

    def step(self, name):
        """What a step left."""
        steps = self.report["steps"]
        assert name in steps, f"the demonstration did not come to the step {name}"
        return steps[name]["evidence"]

    def get(self, step, key):
        """One piece of evidence."""
        evidence = self.step(step)
        assert evidence.get(key) is not None, f"{step}: there is no evidence {key}"
        return evidence[key]

    def chain(self, push_id, ending="completed"):
        """The receipts of a push at the coordinator: every hop once, in order, to this ending."""
        receipts = self.coordinator.receipts(push_id)
        hops = [receipt["hop"] for receipt in receipts]
        assert hops == ["accepted", "delivered", "started", "finished"], f"push {push_id}: hops {hops}"
        times = [receipt["at"] for receipt in receipts]
        assert times == sorted(times), f"push {push_id}: a hop before the one it follows: {times}"
        words = receipts[-1]["word"]
        assert words == ending, f"push {push_id}: ended {words}, {ending} was expected"
        runs = {receipt["run"] for receipt in receipts[2:]}
        assert len(runs) == 1, f"push {push_id}: started and finished name runs {runs}"
        return receipts

    def run(self, push_id):
        """The one run of a push that the node keeps."""
        runs = self.node.finished(push_id=push_id)
        assert len(runs) == 1, f"push {push_id}: the node keeps {len(runs)} ended runs, one was expected"
        return runs[0]


@claim("the node is enrolled once, its token bound to it and refused to others")
def enrolment(e):
    devices = e.coordinator.devices()
    assert len(devices) == 1, f"{len(devices)} devices are enrolled: {devices}"
    with open(os.path.join(e.report["paths"]["node"], "identity", "device.json"), encoding="utf-8") as file:
        text = file.read()
    assert devices[0] in text, f"the node's identity does not name device {devices[0]}"
    tokens = e.coordinator.tokens()
    assert len(tokens) == 1, f"{len(tokens)} tokens, one was expected"
    assert tokens[0]["key"] is not None and tokens[0]["device"] is not None, "the token is bound to no key"
    code = e.get("enrolment", "second_use_code")
    assert code == "Unauthenticated", f"a second key with the same token was answered {code}"
    return f"device {devices[0]}"


@claim("agents run as unprivileged users, one an app")
def users(e):
    if not e.report["machine"]["root"]:
        return "not root: nothing to tell apart"
    apps = os.path.join(e.report["paths"]["node"], "apps")
    owners = {app: os.stat(os.path.join(apps, app)).st_uid for app in os.listdir(apps)}
    assert len(owners) >= 6, f"folders of {len(owners)} apps: {owners}"
    assert 0 not in owners.values(), f"an app belongs to root: {owners}"
    assert len(set(owners.values())) == len(owners), f"two apps share a user: {owners}"
    return ", ".join(f"{app} {uid}" for app, uid in sorted(owners.items()))


@claim("photo-sync copied every file, by checksum")
def photos(e):
    e.chain(e.get("photos", "push_id"))
    files = e.get("photos", "files")
    source = os.path.join(e.state, "data", "photos")
    names = sorted(name for name in os.listdir(source) if os.path.isfile(os.path.join(source, name)))
    assert names and names == sorted(file["name"] for file in files), f"files {names} against {files}"
    for file in files:
        original, copy = sha256(file["from"]), sha256(file["to"])
        assert original is not None and original == copy, f"{file['name']}: {original} against {copy}"
        assert os.stat(file["from"]).st_ino != os.stat(file["to"]).st_ino, f"{file['name']} is a link"
    return f"{len(names)} files, {sum(file['size'] for file in files)} bytes"


@claim("stubborn was asked at 25 s and killed at 30 s")
def stubborn(e):
    push_id = e.get("stubborn", "push_id")
    receipts = e.chain(push_id, ending="hung")
    run = e.run(push_id)
    assert run["outcome"] == "hung", f"outcome {run['outcome']}"
    assert run["cancel_reason"] == "execution-time-exceeded", f"asked for {run['cancel_reason']}"
    assert 30_000 <= run["ran"] <= 32_000, f"ran {run['ran']} ms"
    told = receipts[3]["at"] - receipts[2]["at"]
    assert 29_500 <= told <= 32_500, f"the receipts are {told} ms apart"
    with open(os.path.join(e.report["paths"]["node"], "apps", "stubborn", "cancelled.json"), encoding="utf-8") as file:
        cancelled = json.load(file)
    assert cancelled["run"] == run["id"], f"another run was asked: {cancelled}"
    assert cancelled["reason"] == "execution-time-exceeded", f"the agent was asked for {cancelled['reason']}"
    after = cancelled["wall_ms"] - run["started"]
    assert 24_500 <= after <= 27_000, f"the agent itself was asked after {after} ms"
    return f"asked after {after} ms, over after {run['ran']} ms"


@claim("nothing of stubborn's process tree is left")
def tree(e):
    assert boot_id() == e.report["machine"]["boot_id"], "another boot: its processes cannot be looked for"
    members = e.get("stubborn", "tree")
    assert len(members) >= 2, f"a tree of {len(members)} processes shows nothing"
    left = [member for member in members + e.get("stubborn", "in_cage") if alive(member)]
    assert not left, f"still there: {left}"
    folders = [cage for cage in e.get("stubborn", "cages") if os.path.exists(cage)]
    assert not folders, f"cages left: {folders}"
    return f"{len(members)} processes of its own telling"


@claim("glutton was killed past its cap by the kernel")
def glutton(e):
    push_id = e.get("glutton", "push_id")
    e.chain(push_id, ending="memory-quota-exceeded")
    run = e.run(push_id)
    assert run["outcome"] == "memory-quota-exceeded", f"outcome {run['outcome']}"
    # A task is refused at its cap of 32 MiB, and killed an eighth above it (AMB-15).
    cap = (32 << 20) + (4 << 20)
    files = e.get("glutton", "memory")["files"]
    limits = [text for path, text in files.items() if path.endswith(("memory.limit_in_bytes", "memory.max"))]
    assert limits and all(int(text) == cap for text in limits), f"limits read from the kernel: {limits}"
    peak = run["usage"]["memory_peak"]
    assert peak is not None and cap * 0.9 <= peak <= cap, f"peak {peak}, cap {cap}"
    before, after = e.get("glutton", "oom_kills_before"), e.get("glutton", "oom_kills_after")
    assert after > before, f"the kernel counts no kill for memory: {before}, {after}"
    assert not alive(e.get("glutton", "main")), "its main process lives"
    log = e.step("glutton").get("kernel_log")
    if log is not None:
        cage = f"/{e.report['cage']}/run-{run['id']},"
        assert any(cage in line for line in log), f"the kernel's log names no kill in {cage}: {log}"
    return f"peak {peak} of {cap} bytes"


@claim("glutton's neighbour ran beside it and finished")
def neighbour(e):
    push_id = e.get("glutton", "neighbour_push_id")
    e.chain(push_id)
    run, other = e.run(push_id), e.run(e.get("glutton", "push_id"))
    assert run["started"] <= other["started"] and other["ended"] <= run["ended"], f"not beside: {run}, {other}"
    return f"ran {run['ran']} ms"


@claim("a task waited for the Internet, why said so, and it ran when it was there")
def condition(e):
    push_id = e.get("condition", "push_id")
    receipts = e.chain(push_id)
    why = e.get("condition", "why")
    assert why["waiting"] >= 1 and why["running"] is None, f"why: {why}"
    assert "internet" in [reason["reason"] for reason in why["reasons"]], f"reasons: {why['reasons']}"
    route = millis(e.get("condition", "route_added_at"))
    delivered, started = receipts[1]["at"], receipts[2]["at"]
    assert delivered + 1_500 <= route, f"delivered at {delivered}, the route came at {route}: it did not wait"
    assert route <= started <= route + 5_000, f"the route came at {route}, the run at {started}"
    reading = {r["name"]: r["value"] for r in e.get("condition", "readings_before")}.get("internet")
    after = {r["name"]: r["value"] for r in e.get("condition", "readings_after")}.get("internet")
    assert reading != after, f"the reading internet was {reading} before and {after} after"
    return f"waited {route - delivered} ms, ran {started - route} ms after the route"


@claim("100 pushes, each sent twice, were accepted once each")
def accepted(e):
    pushes = e.get("outage", "pushes")
    assert len(pushes) == 100, f"{len(pushes)} pushes"
    ids = {push["push_id"] for push in pushes}
    assert len(ids) == 100, f"{len(ids)} ids"
    again = [push for push in pushes if push["again_push_id"] != push["push_id"]]
    assert not again, f"{len(again)} second sends got an id of their own"
    stored = set(e.coordinator.pushes("inbox"))
    assert stored == ids, f"{len(stored)} pushes are stored, {len(ids & stored)} of them those accepted"
    return "100 ids stored"


@claim("they survived a killed coordinator: it was another process that delivered them")
def outage(e):
    killed, after = e.get("outage", "killed_coordinator"), e.get("outage", "coordinator")
    assert killed != after, "the coordinator is the same process"
    assert not alive(killed), "the killed coordinator lives"
    accepted_at = [millis(push["accepted_at"]) for push in e.get("outage", "pushes")]
    lost = []
    for push in e.get("outage", "pushes"):
        try:
            receipts = e.chain(push["push_id"])
        except AssertionError as error:
            lost.append(str(error))
            continue
        assert receipts[1]["at"] >= max(accepted_at), f"{push['push_id']} was delivered before the kill"
    assert not lost, f"{len(lost)} of 100 did not come to a completed run; the first: {lost[0]}"
    assert e.coordinator.waiting() == 0, f"{e.coordinator.waiting()} still wait"
    return "100 chains, each delivered after the restart"


@claim("all 100 arrived, each once")
def arrived(e):
    with open(e.get("outage", "inbox_log"), encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line]
    arrivals = {}
    for line in lines:
        push_id, payload = inbox_line(line)
        arrivals.setdefault(payload, []).append(push_id)
    expected = {push["payload"]: push["push_id"] for push in e.get("outage", "pushes")}
    never = [payload for payload in expected if payload not in arrivals]
    twice = [payload for payload, ids in arrivals.items() if len(ids) > 1]
    other = [payload for payload in arrivals if payload not in expected]
    assert not never and not twice and not other, f"{len(never)} never, {len(twice)} twice, {len(other)} unknown"
    wrong = [payload for payload, push_id in expected.items() if arrivals[payload] != [push_id]]
    assert not wrong, f"{len(wrong)} arrived under another id"
    return f"{len(lines)} lines"


def inbox_line(line):
    """The push's id and payload of a line of inbox.log."""
    push_id, _attempt, _run, payload = line.split(" ")
    return push_id, payload


@claim("a killed node's run was adopted and its end reported")
def adoption(e):
    killed, after = e.get("adoption", "killed_node"), e.get("adoption", "node")
    assert killed != after and not alive(killed), "the node is the same process"
    assert e.get("adoption", "launcher_before") == e.get("adoption", "launcher"), "another launcher"
    before, adopted = e.get("adoption", "run_before"), e.get("adoption", "run_adopted")
    assert before["run"] == adopted["run"] and before["pid"] == adopted["pid"], f"{before} against {adopted}"
    push_id = e.get("adoption", "push_id")
    receipts = e.chain(push_id)
    run = e.run(push_id)
    assert run["id"] == before["run"] == receipts[2]["run"], f"run {run['id']}"
    assert run["attempt"] == 1, f"attempt {run['attempt']}"
    beats = beats_of(e.get("adoption", "beats"), run["id"])
    assert {pid for _, pid in beats} == {before["pid"]}, f"beats of processes {set(p for _, p in beats)}"
    numbers = [beat for beat, _ in beats]
    assert numbers == list(range(1, len(numbers) + 1)), f"beats {numbers}"
    at_kill, alone = e.get("adoption", "beat_at_kill"), e.get("adoption", "beat_without_daemon")
    assert at_kill < alone < numbers[-1], f"beats {at_kill}, {alone}, {numbers[-1]}"
    return f"run {run['id']}: {len(numbers)} beats of process {before['pid']}, killed at {at_kill}"


def beats_of(path, run):
    """The beats of a run, each with its process."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    return [(int(line[1]), int(line[3])) for line in lines if int(line[0]) == run]


@claim("each push has exactly one terminal receipt for its device")
def terminal(e):
    for push_id in e.coordinator.all_pushes():
        ends = [r for r in e.coordinator.receipts(push_id) if r["hop"] in TERMINAL]
        assert len(ends) == 1, f"push {push_id} has {len(ends)} terminal receipts"
    return f"{len(e.coordinator.all_pushes())} pushes"


@claim("each firing on the device has exactly one verdict")
def ledger(e):
    counted = sum(count["count"] for count in e.node.of("count"))
    firings = sum(device["firings"] for device in e.node.of("device"))
    assert firings == counted and firings > 0, f"{firings} firings, {counted} verdicts"
    return f"{firings} firings"


@claim("nothing is left running")
def left(e):
    processes = [
        process
        for step in e.report["steps"].values()
        for key in ("node", "coordinator", "launcher", "main", "killed_node", "killed_coordinator")
        if isinstance(process := step["evidence"].get(key), dict)
    ]
    living = [process for process in processes if alive(process)]
    assert processes and not living, f"alive: {living}"
    started = mentioning(e.state + "/")
    assert not started, f"started from the state folder and alive: {started}"
    inhabited = []
    for cage in cages(e.report["cage"]):
        for folder, _, files in os.walk(cage):
            if "cgroup.procs" in files:
                with open(os.path.join(folder, "cgroup.procs"), encoding="ascii") as file:
                    inhabited += file.read().split()
    assert not inhabited, f"in the cage {e.report['cage']}: {inhabited}"
    return f"{len(processes)} processes looked for"


def judge(path):
    """Each claim with whether it holds, and why or why not."""
    with open(path, encoding="utf-8") as file:
        evidence = Evidence(json.load(file))
    verdicts = []
    for name, function in CLAIMS:
        try:
            verdicts.append((function.__name__, name, True, function(evidence)))
        except (AssertionError, LookupError, OSError, TypeError, ValueError) as error:
            verdicts.append((function.__name__, name, False, f"{type(error).__name__}: {error}"))
    return verdicts


def main():
    """Judges, prints, and says by its exit status whether all holds."""
    if len(sys.argv) != 2:
        sys.exit("usage: check_demo.py REPORT")
    verdicts = judge(sys.argv[1])
    for _, name, holds, detail in verdicts:
        print(f"{'PASS' if holds else 'FAIL'}  {name}: {detail}")
    failed = sum(not holds for _, _, holds, _ in verdicts)
    print(f"{len(verdicts) - failed} of {len(verdicts)} claims hold")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
