#!/usr/bin/env python3
"""A client that nobody here wrote, against a real coordinator and node: check_grpc_client.py LULL FOLDER

Starts `lull up` in FOLDER, has it certify a publisher, runs grpc_client.py with that certificate, and checks what is
refused: each with its code, with nothing stored, and with the daemons going on. Leaves secrets.json behind, with what
canary.py must not find in any log.
"""

import json
import os
import secrets
import signal
import subprocess
import sys

# Refused handshakes are what some checks are about; gRPC's own words on them would only puzzle.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc

from evidence import CoordinatorStore
from grpc_client import PROTOS, channel, read, refusal, stubs

HERE = os.path.dirname(os.path.abspath(__file__))
# To start two daemons on a loaded machine; to end them.
STARTING, ENDING, CALL = 90, 40, 60


class Up:
    """A running `lull up`."""

    def __init__(self, lull, folder):
        os.makedirs(folder)
        self.lull, self.state = lull, os.path.join(folder, "state")
        with open(os.path.join(folder, "up.log"), "wb") as log:
            self.process = subprocess.Popen(
                [lull, "--state", self.state, "--json", "up"], stdout=subprocess.PIPE, stderr=log, text=True
            )
        signal.alarm(STARTING)
        line = self.process.stdout.readline()
        signal.alarm(0)
        if not line:
            sys.exit(f"`lull up` said nothing and ended with {self.process.wait()}; see {folder}/up.log")
        self.ready = json.loads(line)

    def ask(self, *arguments, status=0):
        """Runs a verb with --json; answers what it printed."""
        command = [self.lull, "--state", self.state, "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=CALL, check=False)
        if done.returncode != status:
            raise AssertionError(f"{command} ended with {done.returncode}, not {status}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def certify(self, folder, name, *apps):
        """A publisher's identity."""
        arguments = [part for app in apps for part in ("--app", app)]
        self.ask("client-certificate", "--name", name, "--role", "publisher", *arguments, "--out", folder)
        return folder

    def stored(self):
        """How many pushes are stored."""
        return len(CoordinatorStore(os.path.join(self.state, "coordinator")).all_pushes())

    def end(self):
        """Asks it to end, and requires that it ends well."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(ENDING)
        assert status == 0, f"`lull up` ended with {status}"


def client(up, identity, *arguments):
    """Runs the client; answers its exit status and what it printed."""
    command = [sys.executable, os.path.join(HERE, "grpc_client.py"), "--coordinator", up.ready["fleet"]]
    command += ["--identity", identity, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CALL * 2, check=False)
    assert done.stdout, f"the client printed nothing: {done.stderr}"
    return done.returncode, json.loads(done.stdout)


def delivered(up, identity, canary):
    """A push from Python comes to a completed run, with a receipt at each hop."""
    arguments = ("--app", "inbox", "--device", up.ready["device"], "--payload", canary, "--key", "first")
    status, result = client(up, identity, *arguments)
    hops = [receipt["hop"] for receipt in result["receipts"]]
    assert status == 0 and hops == ["accepted", "delivered", "started", "finished"], result
    times = [receipt["at_ms"] for receipt in result["receipts"]]
    assert times == sorted(times) and times[0] == result["accepted_at_ms"], result
    before = up.stored()
    status, again = client(up, identity, *arguments)
    assert again["duplicate"] and again["push_id"] == result["push_id"] and status == 0, again
    assert up.stored() == before, "a duplicate was stored"
    return f"push {result['push_id']}: {' → '.join(hops)} in {times[-1] - times[0]} ms; sent again: the same id"


def by_label(up, identity, _canary):
    """A push to a label reaches the device that has it; one to a label of nobody reaches nobody."""
    status, result = client(up, identity, "--app", "inbox", "--label", "origin=lull-up", "--payload", "to a label")
    assert status == 0 and result["devices"] == 1, result
    _, nobody = client(up, identity, "--app", "inbox", "--label", "origin=nowhere", "--payload", "to nobody")
    assert nobody.get("devices") == 0 and not nobody["receipts"], nobody
    return "1 device, and none"


def refusals(up, identity, _canary):
    """What is wrong is refused by name, and nothing is stored."""
    device = up.ready["device"]
    cases = [
        ("INVALID_ARGUMENT", "payload", ["--app", "inbox", "--device", device, "--payload-bytes", "5001"]),
        ("INVALID_ARGUMENT", "payload", ["--app", "inbox", "--device", device, "--payload-bytes", "0"]),
        ("INVALID_ARGUMENT", "target", ["--app", "inbox", "--payload", "x"]),
        ("INVALID_ARGUMENT", "app", ["--app", "no app", "--device", device, "--payload", "x"]),
        ("INVALID_ARGUMENT", "time_to_live", ["--app", "inbox", "--device", device, "--payload", "x", "--ttl", "0"]),
        ("NOT_FOUND", None, ["--app", "nosuch", "--device", device, "--payload", "x"]),
        ("NOT_FOUND", None, ["--app", "inbox", "--device", "00000000-0000-7000-8000-000000000000", "--payload", "x"]),
        ("PERMISSION_DENIED", None, ["--app", "photos", "--device", device, "--payload", "x"]),
    ]
    before = up.stored()
    for code, field, arguments in cases:
        status, result = client(up, identity, *arguments)
        error = result.get("error", {})
        assert status == 2 and error.get("code") == code and error["message"], f"{arguments}: {result}"
        named = [one["field"] for one in error["fields"]]
        assert field is None or named == [field], f"{arguments}: fields {named}, {field} was expected"
    assert up.stored() == before, "a refused push was stored"
    status, _ = client(up, identity, "--app", "inbox", "--device", device, "--payload-bytes", "5000")
    assert status == 0, "5,000 bytes were not accepted"
    return f"{len(cases)} refused, 5,000 bytes accepted"


def identities(up, identity, _canary):
    """Who shows no certificate, or one of another authority, gets nowhere."""
    other = Up(up.lull, os.path.join(os.path.dirname(up.state), "other"))
    stranger = other.certify(os.path.join(os.path.dirname(up.state), "stranger"), "stranger", "inbox")
    other.end()
    push, grpc_push = stubs(PROTOS)
    root = read(identity, "root.pem")
    request = push.SendRequest(app="inbox", device=up.ready["device"], payload=b"let me in")
    before, codes = up.stored(), []
    for folder in (None, stranger):
        with channel(up.ready["fleet"], root, folder) as connection:
            try:
                grpc_push.PushServiceStub(connection).Send(request, timeout=CALL)
                raise AssertionError(f"a push with the identity {folder} was accepted")
            except grpc.RpcError as error:
                codes.append(refusal(error)["code"])
    assert up.stored() == before, "a stranger's push was stored"
    up.ask("devices")
    return f"refused: {', '.join(codes)}"


def roles(up, identity, _canary):
    """A publisher runs no fleet: `lull` with its identity is refused, exit 5."""
    up.ask("--identity", identity, "devices", status=5)
    up.ask("--identity", identity, "enroll", status=5)
    return "exit 5"


def door(up, _identity, _canary):
    """The door refuses made-up tokens and broken requests, and a token stays good for its owner."""
    token = up.ask("enroll", "--label", "site=canary")["token"]
    (device, grpc_device) = stubs(PROTOS, ("device",))
    root = read(os.path.join(up.state, "coordinator", "operator"), "root.pem")
    made_up = token.split(".")
    made_up[1] = secrets.token_urlsafe(32)
    codes = []
    with channel(up.ready["door"], root) as connection:
        service = grpc_device.EnrollmentServiceStub(connection)
        for text in (".".join(made_up), token, "lull1", ""):
            request = device.EnrollRequest(token=text, certificate_request=b"no request", name="intruder")
            try:
                service.Enroll(request, timeout=CALL)
                raise AssertionError("it was enrolled")
            except grpc.RpcError as error:
                codes.append(refusal(error)["code"])
    assert set(codes) <= {"UNAUTHENTICATED", "INVALID_ARGUMENT"}, codes
    assert codes[0] in ("UNAUTHENTICATED", "INVALID_ARGUMENT") and codes[1] == "INVALID_ARGUMENT", codes
    assert len(up.ask("devices")["devices"]) == 1, "another device is there"
    up.secrets.append({"what": "the secret of an enrolment token", "text": token.split(".")[1]})
    return ", ".join(codes)


def main():
    """Starts, checks, ends; exit 1 if a check failed."""
    if len(sys.argv) != 3:
        sys.exit("usage: check_grpc_client.py LULL FOLDER")
    lull, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    up, wrong = Up(lull, folder), 0
    canary = f"canary-{secrets.token_hex(16)}"
    up.secrets = [{"what": "a push's payload", "text": canary}]
    try:
        identity = up.certify(os.path.join(folder, "publisher"), "python", "inbox", "nosuch")
        for check in (delivered, by_label, refusals, identities, roles, door):
            try:
                print(f"PASS  {check.__doc__.strip()} ({check(up, identity, canary)})", flush=True)
            except (AssertionError, KeyError, OSError, subprocess.SubprocessError) as error:
                wrong += 1
                print(f"FAIL  {check.__doc__.strip()} ({type(error).__name__}: {error})", flush=True)
        up.end()
    finally:
        with open(os.path.join(folder, "secrets.json"), "w", encoding="utf-8") as file:
            json.dump(up.secrets, file)
        if up.process.poll() is None:
            up.process.kill()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
