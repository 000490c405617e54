"""Reads what the daemons left behind: their stores, /proc, control groups. Uses the standard library only.

Nothing here believes what the demonstration says of itself: it is told where to look, and looks.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import uuid
from datetime import datetime

# lull.push.v1.Hop
HOPS = {1: "accepted", 2: "delivered", 3: "started", 4: "finished", 5: "expired", 6: "dropped"}
TERMINAL = {"finished", "expired", "dropped"}


def millis(text):
    """Milliseconds since the epoch of an RFC 3339 time; None for None."""
    if text is None:
        return None
    # Python reads at most six digits of a second's fraction.
    head, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}+00:00")
    return round(moment.timestamp() * 1000)


def sha256(path):
    """SHA-256 of a file in hexadecimal; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def open_store(folder):
    """Opens a copy of the one SQLite file in a folder, so that a daemon that still runs is not disturbed."""
    found = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                if file.read(16) == b"SQLite format 3\0":
                    found.append(path)
    if len(found) != 1:
        raise LookupError(f"{folder}: {len(found)} SQLite files, one was expected: {found}")
    copy = tempfile.mkdtemp(prefix="lull-evidence-")
    try:
        for suffix in ("", "-wal"):
            if os.path.exists(found[0] + suffix):
                shutil.copy(found[0] + suffix, os.path.join(copy, "store" + suffix))
        memory = sqlite3.connect(":memory:")
        with sqlite3.connect(os.path.join(copy, "store")) as file:
            file.backup(memory)
        file.close()
    finally:
        shutil.rmtree(copy)
    memory.row_factory = sqlite3.Row
    return memory


class CoordinatorStore:
    """What the coordinator made durable."""

    def __init__(self, folder):
        self.db = open_store(folder)

    def devices(self):
        """The ids of all enrolled devices."""
        return [str(uuid.UUID(bytes=row["id"])) for row in self.db.execute("SELECT id FROM device")]

    def tokens(self):
        """Enrolment tokens: whether each is bound to a key, and to which device."""
        rows = self.db.execute("SELECT hash, key, device FROM token")
        return [dict(row) for row in rows]

    def pushes(self, app):
        """The ids of all pushes to an app."""
        rows = self.db.execute("SELECT id FROM push WHERE app = ?", (app,))
        return [str(uuid.UUID(bytes=row["id"])) for row in rows]

    def all_pushes(self):
        """The ids of all pushes."""
        return [str(uuid.UUID(bytes=row["id"])) for row in self.db.execute("SELECT id FROM push")]

    def waiting(self):
        """How many pushes are still in a mailbox."""
        return self.db.execute("SELECT count(*) FROM mail").fetchone()[0]

    def receipts(self, push_id):
        """The receipts of a push to one device, in the order in which they became durable. Its acceptance is the push's own row."""
        key = (uuid.UUID(push_id).bytes,)
        rows = self.db.execute("SELECT accepted FROM push WHERE id = ?", key)
        accepted = [{"hop": "accepted", "at": row["accepted"], "run": 0, "word": ""} for row in rows]
        rows = self.db.execute("SELECT * FROM receipt WHERE push = ? ORDER BY ordinal", key)
        return accepted + [
            {
                "device": str(uuid.UUID(bytes=row["device"])),
                "hop": HOPS.get(row["hop"], row["hop"]),
                "at": row["at"],
                "run": row["run"],
                "attempt": row["attempt"],
                "word": row["word"],
            }
            for row in rows
        ]


class NodeStore:
    """What the node made durable: records as JSON."""

    def __init__(self, folder):
        self.db = open_store(folder)
        self.kinds = {}
        for row in self.db.execute("SELECT value FROM records"):
            for kind, record in json.loads(row["value"]).items():
                self.kinds.setdefault(kind, []).append(record)

    def finished(self, push_id=None, run=None):
        """Runs that ended: of a push, or by id."""
        runs = self.kinds.get("finished", [])
        return [
            one
            for one in runs
            if (push_id is None or one["push"] == push_id) and (run is None or one["id"] == run)
        ]

    def of(self, kind):
        """All records of a kind."""
        return self.kinds.get(kind, [])


def alive(process):
    """Whether the process with this id and this start time runs; one that has ended and awaits its parent does not."""
    try:
        with open(f"/proc/{process['pid']}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return False
    return int(fields[19]) == process["start_time"] and fields[0] not in "ZX"


def boot_id():
    """This boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def mentioning(text):
    """Processes, but this one, whose command line holds a text: whose program or socket is in some folder, say."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if int(pid) != os.getpid() and any(word.startswith(text.encode()) for word in words):
            found.append((int(pid), b" ".join(words).decode(errors="replace").strip()))
    return found


def cages(name):
    """Every control group with this name that exists now."""
    found = []
    for folder, folders, _ in os.walk("/sys/fs/cgroup"):
        if name in folders:
            found.append(os.path.join(folder, name))
    return found
