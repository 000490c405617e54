#!/usr/bin/env python3
"""Looks for secrets where they must not be: canary.py FOLDER

Secrets are: the body of every private key below FOLDER, and what its secrets.json files name (enrolment tokens, payloads of
pushes). Logs (*.log), reports and configuration must hold none of them. A private key is in its own file alone, readable by its
owner only; an enrolment token's secret is in no file at all; a payload may be in a store, which is no log.

What the Rust tests printed (unit-tests.log) comes without a list of its secrets; there, as in every log, nothing may have the shape of one:
the beginning of a private key, or a whole enrolment token.
"""

import json
import os
import re
import stat
import sys

KEY_BEGIN, KEY_END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
SHAPES = {
    "something like a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "something like an enrolment token": re.compile(rb"lull1\.[A-Za-z0-9_-]{43}\.[0-9a-f]{64}"),
}


def files(folder):
    """Every regular file below a folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def key_lines(path):
    """The body lines of the private keys in a PEM file."""
    with open(path, encoding="ascii", errors="replace") as file:
        text = file.read()
    bodies = [part.split(KEY_END)[0] for part in text.split(KEY_BEGIN)[1:]]
    return [line for body in bodies for line in body.split() if len(line) >= 16]


def collect(folder):
    """Secrets as (what, text, the files that may hold it)."""
    secrets, problems = [], []
    for path in files(folder):
        if path.endswith(".pem"):
            lines = key_lines(path)
            secrets += [("a private key", line, {path}) for line in lines]
            if lines and stat.S_IMODE(os.stat(path).st_mode) & 0o077:
                problems.append(f"{path}: others may read this private key")
        elif os.path.basename(path) == "secrets.json":
            with open(path, encoding="utf-8") as file:
                secrets += [(one["what"], one["text"], {path}) for one in json.load(file)]
    return secrets, problems


def is_store(path):
    """A database and its journals: a payload may be there. So may an app's own folder hold what it was sent."""
    return ".sqlite" in path or ".db" in path or "/node/apps/" in path


def main():
    """Looks; exit 1 if a secret is where it must not be."""
    if len(sys.argv) != 2:
        sys.exit("usage: canary.py FOLDER")
    folder = os.path.abspath(sys.argv[1])
    secrets, problems = collect(folder)
    kinds = {what for what, _, _ in secrets}
    if not {"a private key", "a push's payload", "the secret of an enrolment token"} <= kinds:
        problems.append(f"{folder}: too few kinds of secrets to look for: {sorted(kinds)}")
    searched = logs = 0
    for path in files(folder):
        with open(path, "rb") as file:
            content = file.read()
        searched += 1
        logs += path.endswith(".log")
        if path.endswith(".log"):
            problems += [f"{path}: {what}" for what, shape in SHAPES.items() if shape.search(content)]
        for what, text, owners in secrets:
            if path in owners or text.encode() not in content:
                continue
            if what == "a push's payload" and is_store(path):
                continue
            problems.append(f"{path}: {what}")
    for problem in problems:
        print(f"FAIL  {problem}")
    if logs == 0:
        problems.append("no log")
        print(f"FAIL  {folder}: there is no log to search")
    print(f"{len(secrets)} secrets looked for in {searched} files, {logs} of them logs: {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
