#!/usr/bin/env python3
"""A publisher in Python: sends a push over mutual TLS and follows it to its last receipts.

    grpc_client.py --coordinator HOST:PORT --identity DIR --app APP (--device ID | --label KEY=VALUE …)
                   (--payload TEXT | --payload-bytes N) [--ttl SECONDS] [--key KEY] [--protos DIR] [--timeout SECONDS]

The stubs are made from the published protos when it starts; nothing of Lull's own code is used. DIR holds cert.pem,
key.pem and root.pem (`lull client-certificate`). Prints one JSON object. Exit 0: each device ran it to completion; 1: not;
2: the coordinator refused it, and the object holds the code, the message and the fields complained of.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile

import grpc
from grpc_status import rpc_status
from grpc_tools import protoc

from google.rpc import error_details_pb2

PROTOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto")
FILES = ["push", "fleet", "device"]


def stubs(protos, names=("push",)):
    """Compiles protos and imports (messages, services) of each."""
    folder = tempfile.mkdtemp(prefix="lull-stubs-")
    google = os.path.join(os.path.dirname(protoc.__file__), "_proto")
    files = [f"lull/{name}/v1/{name}.proto" for name in FILES]
    command = ["protoc", f"-I{protos}", f"-I{google}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(command + files) != 0:
        raise RuntimeError(f"the protos in {protos} do not compile")
    sys.path.insert(0, folder)
    found = []
    for name in names:
        module = f"lull.{name}.v1.{name}_pb2"
        found.append((importlib.import_module(module), importlib.import_module(module + "_grpc")))
    return found if len(found) > 1 else found[0]


def read(folder, name):
    """One file of an identity."""
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def channel(address, root, identity=None):
    """A TLS channel: mutual with an identity (the folder of key.pem and cert.pem)."""
    key = read(identity, "key.pem") if identity else None
    chain = read(identity, "cert.pem") if identity else None
    credentials = grpc.ssl_channel_credentials(root, key, chain)
    # One try is enough to be told; the default goes on for 20 s.
    options = [("grpc.enable_retries", 0)]
    return grpc.secure_channel(address, credentials, options)


def refusal(error):
    """What a coordinator answered, as plain data."""
    fields = []
    status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
    for detail in status.details if status else []:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            fields += [{"field": v.field, "description": v.description} for v in bad.field_violations]
    return {"code": error.code().name, "message": error.details(), "fields": fields}


def receipt(device, told, hops):
    """A receipt as plain data."""
    return {
        "device": device,
        "hop": hops.Name(told.hop).removeprefix("HOP_").lower(),
        "at_ms": told.at.ToMilliseconds(),
        "terminal": told.terminal,
        "run": told.run,
        "attempt": told.attempt,
        "outcome": told.outcome,
        "reason": told.reason,
    }


def send(push, service, options):
    """Sends one push; answers the coordinator's word."""
    request = push.SendRequest(app=options.app, payload=payload(options), deduplication_key=options.key)
    if options.device is not None:
        request.device = options.device
    elif options.label:
        request.selector.labels.update(label.split("=", 1) for label in options.label)
    if options.ttl is not None:
        request.time_to_live.FromSeconds(options.ttl)
    return service.Send(request, timeout=options.timeout)


def payload(options):
    """The body."""
    if options.payload_bytes is not None:
        return b"x" * options.payload_bytes
    return (options.payload or "").encode()


def run(options):
    """Sends, follows, and answers (exit status, what to print)."""
    push, grpc_push = stubs(options.protos)
    root = read(options.identity, "root.pem")
    with channel(options.coordinator, root, options.identity) as connection:
        service = grpc_push.PushServiceStub(connection)
        try:
            answer = send(push, service, options)
            receipts = []
            watch = service.Watch(push.WatchRequest(push_id=answer.push_id), timeout=options.timeout)
            for told in watch:
                receipts.append(receipt(told.device, told.receipt, push.Hop))
        except grpc.RpcError as error:
            return 2, {"error": refusal(error)}
    ends = [one for one in receipts if one["terminal"]]
    completed = [one for one in ends if one["outcome"] == "completed"]
    result = {
        "push_id": answer.push_id,
        "devices": answer.devices,
        "duplicate": answer.duplicate,
        "accepted_at_ms": answer.accepted_at.ToMilliseconds(),
        "receipts": receipts,
    }
    return (0 if len(completed) == answer.devices == len(ends) else 1), result


def main():
    """Reads the command line, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coordinator", required=True, metavar="HOST:PORT")
    parser.add_argument("--identity", required=True, metavar="DIR")
    parser.add_argument("--app", required=True)
    parser.add_argument("--device")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--payload")
    parser.add_argument("--payload-bytes", type=int, metavar="N")
    parser.add_argument("--ttl", type=int, metavar="SECONDS")
    parser.add_argument("--key", default="")
    parser.add_argument("--protos", default=PROTOS, metavar="DIR")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS")
    status, result = run(parser.parse_args())
    print(json.dumps(result, indent=2))
    sys.exit(status)


if __name__ == "__main__":
    main()
