"""Requests per second of a SCIM client, and how they change as the number of users grows.

    .venv/bin/python -m bench.scim [--database sqlite|postgresql] [--users 20000] [--groups 500] [--workers 2] [--json]

One server on loopback. The client's processes keep eight connections open and send what Entra ID sends: a look-up
by userName before each create is counted apart. Users are created in slices of a tenth; ``growth`` compares the last
slice with the second one (the first warms up), and the look-ups at the end with those after the second slice. Then
groups are created and filled, and each user is changed once by a PATCH. Client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from auth_backends.scim_clients import issue
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.providers import put_provider
from storage.database.scim_changes import AddScimToken
from tests.support.postgres import PostgresServer
from tests.support.server import QuaymasterServer

PROVIDER = "entra"
PROCESSES = 2
THREADS = 4
SLICES = 10
GROUP_SIZE = 40
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Call:
    """One request and the status that it must have."""

    method: str
    path: str
    body: dict[str, Any] | None
    status: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is, and what lets the client in."""

    port: int
    certificate: str
    token: str


def person(number: int) -> dict[str, Any]:
    """Give a user as Entra ID creates it."""
    name = f"person{number:06}@contoso.example"
    return {
        "schemas": [CORE, ENTERPRISE],
        "externalId": f"00000000-0000-4000-8000-{number:012}",
        "userName": name,
        "active": True,
        "displayName": f"Person {number}",
        "emails": [{"primary": True, "type": "work", "value": name}],
        "name": {"givenName": "Person", "familyName": f"Number {number}", "formatted": f"Person Number {number}"},
        "roles": [],
        ENTERPRISE: {"employeeNumber": str(number), "department": "Radiology"},
        "meta": {"resourceType": "User"},
    }


def creates(numbers: range) -> list[Call]:
    """Give a POST for each user."""
    return [Call("POST", "/Users", person(number), 201) for number in numbers]


def lookups(numbers: Sequence[int]) -> list[Call]:
    """Give a look-up by userName for each user."""
    found = []
    for number in numbers:
        text = quote(f'userName eq "{person(number)["userName"]}"')
        found.append(Call("GET", f"/Users?filter={text}", None, 200))
    return found


def run(place: Place, calls: list[Call]) -> tuple[float, list[float], list[dict[str, Any]]]:
    """Send the calls over all connections; give requests per second, each one's seconds, and the answers."""
    parts = [calls[start::PROCESSES] for start in range(PROCESSES)]
    context = multiprocessing.get_context("spawn")
    ready, go = context.Barrier(PROCESSES + 1), context.Event()
    with contextlib.closing(context.Queue()) as answers:
        workers = [context.Process(target=_process, args=(place, part, ready, go, answers)) for part in parts]
        for worker in workers:
            worker.start()
        ready.wait()
        started = time.monotonic()
        go.set()
        results = [answers.get() for _ in workers]
        elapsed = time.monotonic() - started
        for worker in workers:
            worker.join()
    durations = [one for seconds, _ in results for one in seconds]
    bodies = [body for _, found in results for body in found]
    return len(calls) / elapsed, durations, bodies


def _process(place: Place, calls: list[Call], ready: Any, go: Any, answers: Any) -> None:
    durations: list[float] = []
    bodies: list[dict[str, Any]] = []
    connections = [_connection(place) for _ in range(THREADS)]
    threads = [
        threading.Thread(target=_thread, args=(place, connection, calls[number::THREADS], go, durations, bodies))
        for number, connection in enumerate(connections)
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    for thread in threads:
        thread.join()
    answers.put((durations, bodies))


def _connection(place: Place) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=place.certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", place.port, context=context, timeout=60)
    connection.connect()
    return connection


def _thread(  # noqa: PLR0917 - a thread's arguments
    place: Place,
    connection: http.client.HTTPSConnection,
    calls: list[Call],
    go: Any,
    durations: list[float],
    bodies: list[dict[str, Any]],
) -> None:
    headers = {"Authorization": f"Bearer {place.token}", "Content-Type": "application/scim+json"}
    go.wait()
    for call in calls:
        started = time.monotonic()
        body = None if call.body is None else json.dumps(call.body)
        connection.request(call.method, f"/scim/v2{call.path}", body, headers)
        response = connection.getresponse()
        text = response.read()
        durations.append(time.monotonic() - started)
        if response.status != call.status:
            message = f"{call.method} {call.path}: {response.status} {text[:500]!r}"
            raise SystemExit(message)
        if call.method == "POST":
            bodies.append(json.loads(text))
    connection.close()


def measure(place: Place, users: int, groups: int) -> list[dict[str, object]]:
    """Run everything and give the rows."""
    rows: list[dict[str, object]] = []
    ids: list[str] = []
    rates: list[float] = []
    slice_size = users // SLICES
    early = 0.0
    for number in range(SLICES):
        rate, durations, bodies = run(place, creates(range(number * slice_size, (number + 1) * slice_size)))
        ids += [body["id"] for body in bodies]
        rates.append(rate)
        rows.append(_row(f"create {number * slice_size}-{(number + 1) * slice_size}", rate, durations))
        sys.stderr.write(f"{rows[-1]}\n")
        if number == 1:
            early, durations, _ = run(place, lookups(range(0, 2 * slice_size, 2)))
            rows.append(_row(f"look-up among {2 * slice_size}", early, durations))
    late, durations, _ = run(place, lookups(range(0, users, SLICES)))
    rows.append(_row(f"look-up among {users}", late, durations))
    filled = [
        Call(
            "POST",
            "/Groups",
            {
                "displayName": f"Group {number}",
                "externalId": f"group-{number}",
                "members": [{"value": one} for one in ids[number * GROUP_SIZE : (number + 1) * GROUP_SIZE]],
            },
            201,
        )
        for number in range(groups)
    ]
    rate, durations, _ = run(place, filled)
    rows.append(_row(f"create groups of {GROUP_SIZE}", rate, durations))
    title = {"op": "Replace", "path": "title", "value": "Consultant"}
    surname = {"op": "Replace", "path": "name.familyName", "value": "Married"}
    changes = [Call("PATCH", f"/Users/{one}", {"schemas": [PATCH], "Operations": [title, surname]}, 200) for one in ids]
    rate, durations, _ = run(place, changes)
    rows.append(_row("change", rate, durations))
    rows.append({"what": "growth of creates (last slice / second)", "ratio": round(rates[-1] / rates[1], 2)})
    rows.append({"what": "growth of look-ups (all / two slices)", "ratio": round(late / early, 2)})
    return rows


def _row(what: str, rate: float, durations: list[float]) -> dict[str, object]:
    ordered = sorted(durations)
    return {
        "what": what,
        "per_s": round(rate),
        "p50_ms": round(statistics.median(ordered) * 1000, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
    }


@contextlib.contextmanager
def served(database: str, workers: int) -> Iterator[Place]:
    """Start a server on an empty database with one provider and one token."""
    with contextlib.ExitStack() as stack:
        environment = {"QUAYMASTER_SFTP__ENABLED": "false", "QUAYMASTER_FTPS__ENABLED": "false"}
        if database == "postgresql":
            postgres = PostgresServer(as_delivered=True)
            stack.callback(postgres.remove)
            postgres.start()
            environment["QUAYMASTER_DATABASE__URL"] = postgres.new_database("bench")
        server = stack.enter_context(QuaymasterServer(workers=workers, environment=environment))
        server.store.apply(
            put_provider(PROVIDER, SsoProvider(method=SsoMethod.SAML, max_requests_per_s=100_000), Settings()),
            actor="bench",
        )
        token = issue()
        year = time.time() + 365 * 86_400
        server.store.apply(AddScimToken(PROVIDER, token.id, "bearer", token.digest, expires_at=year), actor="bench")
        yield Place(server.http_port, str(server.certificate), token.token.reveal())


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options.add_argument("--users", type=int, default=20_000)
    options.add_argument("--groups", type=int, default=500)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    with served(chosen.database, chosen.workers) as place:
        rows = measure(place, chosen.users, chosen.groups)
    if chosen.json:
        print(json.dumps({"database": chosen.database, "workers": chosen.workers, "results": rows}, indent=2))
        return 0
    print(f"{chosen.database}, {chosen.workers} workers, {PROCESSES * THREADS} connections")
    for row in rows:
        if "ratio" in row:
            print("{what:<42} {ratio:>7}".format(**row))
        else:
            print("{what:<42} {per_s:>7}/s   p50 {p50_ms:>6} ms   p99 {p99_ms:>6} ms".format(**row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
