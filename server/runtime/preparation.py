"""What is done once before the workers serve: keys, migrations, the demo's users.

A process of its own, ``python -P -m server.runtime.preparation DESCRIPTOR``, so that the supervisor
never loads a private key nor opens the database.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import cast

from config.settings import Settings
from server.runtime.channel import Channel
from server.runtime.process import start_python

LOCAL, SSO, ADMIN = "ada", "grace", "admin"  # the demo's users


class NotPrepared(Exception):
    """The installation cannot serve; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class DemoUser:
    """One of the demo's users. The secrets are known only on the start that made the user."""

    name: str
    role: str
    password: str | None = None
    api_key: str | None = None
    private_key: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What the preparation found and did."""

    users: int
    migrated: tuple[str, ...]
    fingerprints: tuple[str, ...]
    demo: tuple[DemoUser, ...]


class Preparation:
    """The running preparation, seen from the supervisor's side."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            arguments = [str(theirs.fileno())]
            self._process: subprocess.Popen[bytes] = start_python(
                "server.runtime.preparation", arguments, [theirs.fileno()]
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel = Channel(ours.detach())

    def finish(self, settings: Settings, *, demo: bool) -> Report:
        """Let it work and wait for it. Raises NotPrepared."""
        self._channel.send({"settings": settings.model_dump_json(), "demo": demo})
        answer = self._channel.receive()
        status = self._process.wait()
        match answer:
            case {"users": int(users), "migrated": [*migrated], "fingerprints": [*fingerprints], "demo": [*demo_users]}:
                return Report(
                    users,
                    tuple(map(str, migrated)),
                    tuple(map(str, fingerprints)),
                    tuple(DemoUser(**cast("dict[str, str]", user)) for user in demo_users),
                )
            case {"failed": str(why)}:
                raise NotPrepared(why)
            case _:
                raise NotPrepared(f"The preparation ended with status {status}; the log above says why.")

    def abandon(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def prepare(settings: Settings, *, demo: bool) -> Report:
    """Make what is missing and give a report. Raises OSError, StoreError."""
    from server.runtime.demo import demo_users  # noqa: PLC0415 - heavy modules, needed only in this process
    from server.runtime.keys import ensure_keys, host_fingerprints, write_known_hosts  # noqa: PLC0415
    from storage.database.migrate import migrate  # noqa: PLC0415
    from storage.database.store import open_store  # noqa: PLC0415

    keys = ensure_keys(settings)
    write_known_hosts(settings, keys)
    migrated = migrate(settings.database_url)
    settings.homes.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = open_store(settings.database_url, pool_size=1)
    try:
        users = demo_users(store, settings) if demo else ()
        return Report(store.users.count(), tuple(migrated), host_fingerprints(keys), users)
    finally:
        store.close()


def main(arguments: Sequence[str]) -> int:
    """Prepare as the supervisor asks, and answer it; the exit status."""
    from server.runtime import logs  # noqa: PLC0415 - only this process needs them
    from storage.database.store import StoreError  # noqa: PLC0415

    channel = Channel(int(arguments[0]))
    request = channel.receive()
    if request is None:
        return 0
    settings = Settings.model_validate_json(str(request["settings"]))
    logs.set_up(settings.log, worker="preparation")
    try:
        report = prepare(settings, demo=bool(request["demo"]))
    except (OSError, StoreError, ValueError) as error:
        channel.send({"failed": f"{error}"})
        return 1
    channel.send(asdict(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
