"""The sync as a job: what is due runs, one provider's trouble is not another's, and the floor is kept."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.ldap import LdapProvider
from config.settings import DatabaseSettings, Settings
from server.app import build_broker, open_services
from server.providers import put_provider
from server.runtime import jobs
from server.runtime.directory_sync import DirectorySync
from server.services import Services
from storage.database.changes import DeleteProvider, PutProvider
from storage.database.sync_log import Outcome
from tests.support.directories.certificates import Authority
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import Slapd
from tests.support.waiting import eventually

pytestmark = pytest.mark.system


@pytest.fixture
def directory(authority: Authority) -> Iterator[Slapd]:
    """A server of this test's own with one person."""
    with Slapd(authority) as server:
        server.add_person("ann")
        yield server


@pytest.fixture
def services(sqlite_url: str, tmp_path: Path) -> Iterator[Services]:
    """What the jobs worker has."""
    settings = Settings(data=tmp_path / "data", database=DatabaseSettings(url=sqlite_url))
    settings.data.mkdir()
    with open_services(settings, worker="jobs-1") as opened:
        yield opened


def keep(services: Services, name: str, directory: Slapd, **settings: object) -> None:
    change = put_provider(name, provider_for(directory, **settings), services.settings)
    services.store.apply(change, actor="test")


class Clock:
    """Unix seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_a_new_provider_is_synced_at_once_and_then_when_it_is_due(services: Services, directory: Slapd) -> None:
    """A tenth of the interval more or less, by chance."""
    keep(services, "corp", directory, sync_interval_s=1000.0)
    clock = Clock()
    sync = DirectorySync(services, leads=lambda: True, clock=clock)
    first = sync.round()
    again = sync.round()
    clock.now += 899.0
    early = sync.round()
    clock.now += 202.0
    due = sync.round()

    assert [report.outcome for report in first] == [Outcome.DONE]
    assert services.store.users.by_name("ann") is not None
    assert (again, early) == ([], [])
    assert [report.outcome for report in due] == [Outcome.DONE]


def test_one_providers_trouble_is_not_anothers(services: Services, directory: Slapd) -> None:
    """A directory that is down is tried again soon; one whose settings cannot be read is left out."""
    keep(services, "down", directory, hosts=("localhost:1",))
    keep(services, "good", directory)
    services.store.apply(PutProvider("broken", "ldap", {}, {"bind_password": "no seal"}), actor="test")
    clock = Clock()
    reports = DirectorySync(services, leads=lambda: True, clock=clock).round()

    assert [(report.provider, report.outcome) for report in reports] == [
        ("down", Outcome.FAILED),
        ("good", Outcome.DONE),
    ]
    assert services.store.syncs.state("down").next_at <= clock.now + 300.0


def test_a_provider_that_was_removed_meanwhile_is_not_synced(
    services: Services, directory: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run of the one before may take an hour."""
    keep(services, "alpha", directory)
    keep(services, "beta", directory)
    sync = DirectorySync(services, leads=lambda: True)
    real = sync._book.ldap

    def removing(name: str) -> LdapProvider | None:
        if name == "alpha":
            services.store.apply(DeleteProvider("beta"), actor="test")
        return real(name)

    monkeypatch.setattr(sync._book, "ldap", removing)

    assert [report.provider for report in sync.round()] == ["alpha"]


def test_the_jobs_role_syncs_by_itself(services: Services, directory: Slapd) -> None:
    """With the lease of the jobs; it ends with the role."""
    keep(services, "corp", directory)

    class Control:
        """Drains as soon as the person is there."""

        def on_drain(self, callback: object) -> None:
            self.callback = callback

        def ready(self) -> None:
            import threading

            def drain() -> None:
                eventually(lambda: services.store.users.by_name("ann"), what="the sync")
                self.callback(1.0)  # type: ignore[operator]  # what the role gave

            threading.Thread(target=drain, daemon=True).start()

    jobs.run(services, (), Control())

    assert services.store.syncs.runs("corp")[0].outcome is Outcome.DONE
    assert services.store.leases.take("sync:corp", "another-node", 60.0)


def test_who_does_not_lead_syncs_nothing(services: Services, directory: Slapd) -> None:
    """Another node has the lease of the jobs."""
    keep(services, "corp", directory)
    asked: list[bool] = []

    def leads() -> bool:
        asked.append(True)
        return False

    sync = DirectorySync(services, leads=leads, round_s=0.01)
    sync.start()
    eventually(lambda: len(asked) > 3, what="a few rounds")
    sync.stop()

    assert services.store.syncs.runs() == []


def test_the_floor_of_refusals_is_kept_where_there_is_a_directory(services: Services, directory: Slapd) -> None:
    """And only there."""
    without = build_broker(services.store, services.settings)._floor_s()
    keep(services, "corp", directory)

    assert without == 0.0
    assert services.settings.auth.refusal_floor_s == build_broker(services.store, services.settings)._floor_s()


def test_a_site_without_a_directory_does_not_load_ldap3(services: Services) -> None:
    """Neither its sign-ins nor its jobs: every worker would pay for it with time and memory."""
    program = (
        "import sys; from config.settings import Settings; from server.app import open_services\n"
        "from server.runtime.directory_sync import DirectorySync\n"
        f"settings = Settings.model_validate_json({services.settings.model_dump_json()!r})\n"
        "with open_services(settings, worker='w') as services: DirectorySync(services, leads=bool).round()\n"
        "print('ldap3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
