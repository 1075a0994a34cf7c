"""Passwords judged a second, and the time of a sync, against a real slapd.

    .venv/bin/python -m bench.ldap verdicts [--threads 8] [--seconds 5] [--rounds 3] [--json]
    .venv/bin/python -m bench.ldap sync [--users 5000 50000] [--json]

``verdicts``: right passwords of many people by LDAPS, in turn through the whole broker (limits, policy, look-up of the
entry, the person's own bind, audit event), by the program ``ldapwhoami``, and by nothing but a TLS connection and a
bind in Python; every one on a connection of its own. The ratios are ours / theirs, round by round.

``sync``: people, 25 to a group, in a fresh slapd; an empty SQLite store; each run in a process of its own: the first
run, a second one (reading again what was younger than a minute when the first began), one that finds nothing changed,
a full one that finds nothing changed, and one with a changed person. Memory is that process's peak.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from auth_backends.api import Attempt, FrontEnd, Granted, Password, Secret
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.directory import Directory
from auth_backends.ldap.sync.api import Wish
from auth_backends.ldap.sync.run import synchronise
from config.ldap import LdapProvider
from config.providers import made_from
from config.settings import AuthSettings, DatabaseSettings, LogFormat, LogSettings, Settings
from server.app import build_broker
from server.runtime import logs
from storage.database.migrate import migrate
from storage.database.store import open_store
from tests.support.directories.certificates import Authority
from tests.support.directories.sites import NAME, provider_for
from tests.support.directories.slapd import PASSWORD, Slapd

PEOPLE = 200
GROUP_SIZE = 25
OVERLAP_S = 61.0
PEER = ip_address("127.0.0.1")


@contextmanager
def directory(folder: Path, users: int) -> Iterator[Slapd]:
    """Give a slapd with so many people, 25 to a group."""
    with Slapd(Authority(folder / "authority")) as server:
        ldif = folder / "people.ldif"
        ldif.write_text("".join(entries(server.base_dn, users)))
        server.bulk_load(ldif)
        yield server


def entries(base: str, users: int) -> Iterator[str]:
    """Write people and groups as LDIF."""
    for number in range(users):
        uid = f"user{number:06}"
        yield (
            f"dn: uid={uid},ou=people,{base}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: Person {number}\n"
            f"sn: {number}\ndisplayName: Person Number {number}\nmail: {uid}@lab.test\nuserPassword: {PASSWORD}\n\n"
        )
    for group in range(users // GROUP_SIZE):
        yield f"dn: cn=group{group:05},ou=groups,{base}\nobjectClass: groupOfNames\ncn: group{group:05}\n"
        for number in range(group * GROUP_SIZE, (group + 1) * GROUP_SIZE):
            yield f"member: uid=user{number:06},ou=people,{base}\n"
        yield "\n"


# Verdicts -----------------------------------------------------------------------------------------


def rate(one: Callable[[int], bool], threads: int, seconds: float) -> float:
    """Give how often a second ``one`` can be called by so many threads; it must always be true."""
    stop = time.monotonic() + seconds
    numbers = itertools.count()
    done, failed = [0] * threads, threading.Event()

    def work(place: int) -> None:
        while time.monotonic() < stop:
            if not one(next(numbers)):
                failed.set()
                return
            done[place] += 1

    start = time.monotonic()
    workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed.is_set():
        raise SystemExit("a right password was not accepted")
    return sum(done) / (time.monotonic() - start)


def verdicts(chosen: argparse.Namespace) -> dict[str, object]:
    """Measure the three ways in turn."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        with directory(folder, PEOPLE) as server:
            provider = provider_for(server)
            ways = _ways(server, provider, folder)
            rates: dict[str, list[float]] = {name: [] for name in ways}
            for way in ways.values():
                rate(way, chosen.threads, 1.0)
            for _ in range(chosen.rounds):
                for name, way in ways.items():
                    rates[name].append(rate(way, chosen.threads, chosen.seconds))
    ours = rates["broker"]
    return {
        "threads": chosen.threads,
        "per_second": {name: round(statistics.median(values), 1) for name, values in rates.items()},
        "ratio": {
            name: round(statistics.median(mine / theirs for mine, theirs in zip(ours, values, strict=True)), 2)
            for name, values in rates.items()
            if name != "broker"
        },
    }


def _ways(server: Slapd, provider: LdapProvider, folder: Path) -> dict[str, Callable[[int], bool]]:
    url = f"sqlite:///{folder / 'store.db'}"
    migrate(url)
    store = open_store(url)
    synchronise(store, NAME, provider, Wish(), actor="bench", holder="bench")
    settings = Settings(
        data=folder, database=DatabaseSettings(url=url), auth=AuthSettings(max_failures_per_network=100_000)
    ).model_copy(update={"ldap": {NAME: provider}})
    broker = build_broker(store, settings)
    bare, address = Directory(provider), provider.addresses()[0]
    environment = os.environ | {"LDAPTLS_CACERT": str(server.ca_file)}

    def dn(number: int) -> str:
        return f"uid=user{number % PEOPLE:06},ou=people,{server.base_dn}"

    def by_broker(number: int) -> bool:
        credential = Password(f"user{number % PEOPLE:06}", Secret(PASSWORD))
        attempt = Attempt(uuid.uuid4().hex, FrontEnd.FTPS, credential, PEER, time.time())
        return isinstance(broker.authenticate(attempt), Granted)

    def by_program(number: int) -> bool:
        url = f"ldaps://{server.ip}:{server.tls_port}"
        command = ["ldapwhoami", "-x", "-H", url, "-D", dn(number), "-w", PASSWORD]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def by_bind_alone(number: int) -> bool:
        connection = bare.open(address, Deadline.after(5.0))
        try:
            return connection.bind(dn(number), Secret(PASSWORD)).code == 0
        finally:
            connection.close()

    return {"broker": by_broker, "ldapwhoami": by_program, "bind_alone": by_bind_alone}


# The sync -----------------------------------------------------------------------------------------


def sync(chosen: argparse.Namespace) -> dict[str, object]:
    """Measure the runs for each number of people."""
    return {"runs": [row for users in chosen.users for row in _runs(users)]}


def _runs(users: int) -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        url = f"sqlite:///{folder / 'store.db'}"
        migrate(url)
        with directory(folder, users) as server:
            told = json.dumps(provider_for(server).model_dump(mode="json"))
            loaded = time.monotonic()
            yield {"users": users, "run": "first", **_measured(url, told, full=False)}
            time.sleep(max(0.0, OVERLAP_S - (time.monotonic() - loaded)))  # what is younger is read again
            for what, full in (("second", False), ("no change", False), ("no change, full", True)):
                yield {"users": users, "run": what, **_measured(url, told, full=full)}
            with server.administrator() as connection:
                connection.modify(
                    f"uid=user000001,ou=people,{server.base_dn}", {"mail": [("MODIFY_REPLACE", ["x@y.z"])]}
                )
            yield {"users": users, "run": "one changed", **_measured(url, told, full=False)}


def _measured(url: str, provider: str, *, full: bool) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.ldap", "one-run", "--url", url, *(["--full"] if full else [])],
        input=provider,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def one_run(chosen: argparse.Namespace) -> dict[str, object]:
    """Run the sync once, in this process."""
    provider = made_from(LdapProvider, json.loads(sys.stdin.read()))
    store = open_store(chosen.url)
    before, memory = resource.getrusage(resource.RUSAGE_SELF), peak_mib()
    start = time.monotonic()
    report = synchronise(store, NAME, provider, Wish(full=chosen.full), actor="bench", holder="bench")
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "mode": report.mode.value,
        "outcome": report.outcome.value,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "created": report.counts.get("created", 0),
        "changed": report.counts.get("changed", 0),
        "memory_before_mib": memory,
        "memory_peak_mib": peak_mib(),
    }


def peak_mib() -> int:
    """Give this process's peak memory; not by getrusage, which counts what its parent had before the exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) // 1024


def _print(result: dict[str, object]) -> None:
    for key, value in result.items():
        for row in value if isinstance(value, list) else [value]:
            print(f"{key}: {row}")


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = options.add_subparsers(dest="command", required=True)
    of_verdicts = commands.add_parser("verdicts")
    of_verdicts.add_argument("--threads", type=int, default=8)
    of_verdicts.add_argument("--seconds", type=float, default=5.0)
    of_verdicts.add_argument("--rounds", type=int, default=3)
    of_sync = commands.add_parser("sync")
    of_sync.add_argument("--users", type=int, nargs="+", default=[5000, 50000])
    of_run = commands.add_parser("one-run")
    of_run.add_argument("--url", required=True)
    of_run.add_argument("--full", action="store_true")
    for command in (of_verdicts, of_sync, of_run):
        command.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    logs.set_up(LogSettings(format=LogFormat.JSON, level="warning"), worker="bench")
    result = {"verdicts": verdicts, "sync": sync, "one-run": one_run}[chosen.command](chosen)
    if chosen.json or chosen.command == "one-run":
        print(json.dumps(result))
    else:
        _print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
