"""Time from the end of a person's access to the cut of uploads in flight, per protocol.

    .venv/bin/python -m bench.revocation [--way scim] [--database sqlite|postgresql] [--workers 4] [--runs 20]
        [--uploads 8] [--json]

One server on loopback with an empty store. Each run signs one user in several times, so that the uploads spread over
the workers, ends the user, and takes the time until the client of the last upload sees its connection end. ``store``
counts from the call that makes the change, ``cli`` from the start of the ``quaymaster user disable`` program, so it
holds that program's own start as well. ``scim`` has uploads on all three protocols at the same time, whose clients
send all the while, and counts from the answer to an identity provider's ``active: false``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

from storage.database.changes import SetStatus
from storage.database.records import Status
from tests.support.drivers import Credential
from tests.support.postgres import PostgresServer
from tests.support.scim_client import ScimHttp, add_provider, issue_token
from tests.support.server import QuaymasterServer
from tests.support.slow_uploads import SLOW_UPLOADS, SlowUpload, Watch
from tests.support.waiting import eventually

PASSWORD = "right horse battery"
WAYS = ("store", "cli")
SCIM = "scim"
PROVIDER = "entra"
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


def scim_run(server: QuaymasterServer, client: ScimHttp, uploads: int) -> float:
    """Seconds from the answer to ``active: false`` to the last cut; less than nothing if all were cut before it."""
    name = "leaver"
    known = client.find(f'userName eq "{name}"').body["Resources"]
    user_id = known[0]["id"] if known else client.create(name, externalId=name).id
    client.patch(f"/Users/{user_id}", {"op": "replace", "path": "active", "value": True})
    server.forget_failures()
    credential = Credential(name, server.issue_api_key(name))
    with ExitStack() as stack:
        running = [
            stack.enter_context(kind(server.driver_ports, credential, f"{kind.front_end}-{number}", CHUNKS))
            for number in range(max(1, uploads // len(SLOW_UPLOADS)))
            for kind in SLOW_UPLOADS
        ]
        watches = [Watch(upload, GIVE_UP_S) for upload in running]
        for upload in running:
            upload.send()
        senders = [threading.Thread(target=_keep_sending, args=(upload,), daemon=True) for upload in running]
        for sender in senders:
            sender.start()
        answer = client.patch(f"/Users/{user_id}", {"op": "Replace", "path": "active", "value": "False"})
        answered = time.monotonic()
        ends = [watch.result() for watch in watches]
        for sender in senders:
            sender.join()
    if answer.status != 200:
        message = f"{answer.status} {answer.body}"
        raise SystemExit(message)
    seen = [end for end in ends if end is not None]
    return max(seen) - answered if len(seen) == len(ends) else math.inf


def _keep_sending(upload: SlowUpload) -> None:
    """Send small pieces until the server hangs up."""
    pause = threading.Event()
    with contextlib.suppress(Exception):  # however the client tells of the cut
        while not pause.wait(0.02):
            upload.send_little()


def percentile(values: list[float], share: float) -> float:
    """Give the value that this share of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _print(rows: list[dict[str, object]], chosen: argparse.Namespace) -> None:
    if chosen.json:
        print(json.dumps({"workers": chosen.workers, "uploads": chosen.uploads, "results": rows}, indent=2))
    else:
        print(
            f"{chosen.database}, {chosen.workers} workers a front end, {chosen.uploads} uploads of one user; "
            "the last cut counts"
        )
        for row in rows:
            print("{protocol:<8} from {from:<6} p50 {p50_ms:>6} ms   p99 {p99_ms:>6} ms".format(**row), end="   ")
            print("max {max_ms:>6} ms   ({runs} runs)".format(**row))


def main() -> int:
    """Measure and print; exit code 1 if a cut took a second or longer when it did not wait for a program to start."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--way", choices=(*WAYS, SCIM), help="only this one; else store and cli")
    options.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--workers", type=int, default=4)
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--uploads", type=int, default=8)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    rows: list[dict[str, object]] = []
    slowest = 0.0
    with served(chosen.database, chosen.workers) as server:
        if chosen.way == SCIM:
            add_provider(server.store, PROVIDER, max_disabled_count=100_000)
            with ScimHttp(server, issue_token(server.store, PROVIDER)[1]) as client:
                times = [scim_run(server, client, chosen.uploads) for _ in range(chosen.runs)]
            slowest = max(times)
            rows.append(_row("all", SCIM, times))
        for kind in SLOW_UPLOADS if chosen.way != SCIM else ():
            for way in WAYS if chosen.way is None else (chosen.way,):
                times = [one_run(server, kind, way=way, uploads=chosen.uploads) for _ in range(chosen.runs)]
                slowest = max(slowest, *times) if way == "store" else slowest
                rows.append(_row(kind.front_end, way, times))
        _print(rows, chosen)
    return 0 if slowest < 1.0 else 1


def _row(protocol: str, way: str, times: list[float]) -> dict[str, object]:
    return {
        "protocol": protocol,
        "from": way,
        "runs": len(times),
        "p50_ms": round(1000 * statistics.median(times)),
        "p99_ms": round(1000 * percentile(times, 0.99)),
        "max_ms": round(1000 * max(times)),
    }


@contextlib.contextmanager
def served(database: str, workers: int) -> Iterator[QuaymasterServer]:
    """Start a server on an empty database of this kind."""
    with ExitStack() as stack:
        environment = {}
        if database == "postgresql":
            postgres = PostgresServer(as_delivered=True)
            stack.callback(postgres.remove)
            postgres.start()
            environment["QUAYMASTER_DATABASE__URL"] = postgres.new_database("bench")
        yield stack.enter_context(QuaymasterServer(workers=workers, environment=environment))


if __name__ == "__main__":
    sys.exit(main())
