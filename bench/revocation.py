"""Time from ``quaymaster user disable`` to the cut of uploads in flight, per protocol.

    .venv/bin/python -m bench.revocation [--workers 4] [--runs 20] [--uploads 8] [--json]

One server on loopback with an empty SQLite store. Each run signs one user in several times, so that
the uploads spread over the workers, disables the user, and takes the time until the client of the last upload
sees its connection end. ``store`` counts from the call that makes the change, ``cli`` from the start of the
``quaymaster user disable`` program, so it holds that program's own start as well.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from contextlib import ExitStack

from storage.database.changes import SetStatus
from storage.database.records import Status
from tests.support.drivers import Credential
from tests.support.server import QuaymasterServer
from tests.support.slow_uploads import SLOW_UPLOADS, SlowUpload, Watch
from tests.support.waiting import eventually

PASSWORD = "right horse battery"
WAYS = ("store", "cli")
GIVE_UP_S = 30.0
CHUNKS = 10_000


def one_run(server: QuaymasterServer, kind: type[SlowUpload], *, way: str, uploads: int) -> float:
    """Seconds from the wish to the last cut."""
    user = server.add_user(f"{kind.front_end}-{way}", password=PASSWORD)
    server.store.apply(SetStatus(user.id, Status.ACTIVE), actor="bench")
    server.forget_failures()
    with ExitStack() as stack:
        running = [
            stack.enter_context(kind(server.driver_ports, Credential(user.name, PASSWORD), f"file-{number}", CHUNKS))
            for number in range(uploads)
        ]
        for upload in running:
            upload.send()
        eventually(lambda: sum(row.user_id == user.id for row in server.store.sessions.live()) > 0, what="the sign-ins")
        watches = [Watch(upload, GIVE_UP_S) for upload in running]
        start = time.monotonic()
        if way == "store":
            server.store.apply(SetStatus(user.id, Status.DISABLED), actor="bench")
        else:
            said = server.cli("user", "disable", user.name)
            if said.returncode:
                raise SystemExit(said.stderr)
        ends = [watch.result() for watch in watches]
    seen = [end for end in ends if end is not None]
    return max(seen) - start if len(seen) == len(ends) else math.inf


def percentile(values: list[float], share: float) -> float:
    """Give the value that this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _print(rows: list[dict[str, object]], chosen: argparse.Namespace) -> None:
    if chosen.json:
        print(json.dumps({"workers": chosen.workers, "uploads": chosen.uploads, "results": rows}, indent=2))
    else:
        print(f"{chosen.workers} workers a front end, {chosen.uploads} uploads of one user; the last cut counts")
        for row in rows:
            print("{protocol:<8} from {from:<6} p50 {p50_ms:>6} ms   p99 {p99_ms:>6} ms   ({runs} runs)".format(**row))


def main() -> int:
    """Measure and print; exit code 1 if a cut took a second or longer when it did not wait for a program to start."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--workers", type=int, default=4)
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--uploads", type=int, default=8)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    rows: list[dict[str, object]] = []
    slowest = 0.0
    with QuaymasterServer(workers=chosen.workers) as server:
        for kind in SLOW_UPLOADS:
            for way in WAYS:
                times = [one_run(server, kind, way=way, uploads=chosen.uploads) for _ in range(chosen.runs)]
                slowest = max(slowest, *times) if way == "store" else slowest
                rows.append(
                    {
                        "protocol": kind.front_end,
                        "from": way,
                        "runs": chosen.runs,
                        "p50_ms": round(1000 * statistics.median(times)),
                        "p99_ms": round(1000 * percentile(times, 0.99)),
                    }
                )
        _print(rows, chosen)
    return 0 if slowest < 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
