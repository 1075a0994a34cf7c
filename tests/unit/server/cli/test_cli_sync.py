"""``quaymaster sync``: what it asks the engine, what it makes of the answer, and what it shows of the past."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from auth_backends.ldap.sync.api import LEASE_PREFIX, Progress, Report, Wish
from server.cli import directories
from server.cli.sync.progress import interruptible, telling
from server.cli.sync.views import item_line
from storage.database.sync_log import Mode, Outcome, SyncConflict, SyncItem, SyncState
from tests.support.cli import Cli
from tests.unit.server.cli.conftest import Kept, Opened

ITEMS = (
    SyncItem("create", "ann", "a-1", detail={"groups": ["crew", "deck"], "display_name": ""}),
    SyncItem(
        "change",
        "bob",
        "b-1",
        detail={
            "email": {"old": "", "new": "bob@lab.test"},
            "expires_at": {"old": None, "new": 86400.0},
            "groups_added": ["crew"],
            "aliases_removed": ["b"],
        },
    ),
    SyncItem("disable", "cleo", "c-1", "no longer in the directory"),
    SyncItem("rename-group", "hands", "g-1", detail={"name": {"old": "crew", "new": "hands"}}),
    SyncItem("skip", "dora\x1b[2J", "d-1", "the name is taken"),
)
LINES = [
    "create        ann  groups: crew, deck",
    "change        bob  email: - -> bob@lab.test; expires at: - -> 1970-01-02T00:00:00Z; groups: +crew; aliases: -b",
    "disable       cleo  no longer in the directory",
    "rename-group  hands  name: crew -> hands",
    "skip          dora\\x1b[2J  the name is taken",
]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the sync end as a test wants; gives a function that sets the outcome, and the list of wishes."""
    wishes: list[Wish] = []
    ends: dict[str, Any] = {}

    def run(_store: object, name: str, _provider: object, wish: Wish, **_others: object) -> Report:
        wishes.append(wish)
        number = None if wish.dry_run else 7
        return Report(name, Mode.FULL, ends["outcome"], {"seen": 5}, ends["detail"], number, ITEMS)

    def ending(outcome: Outcome, detail: str = "What happened.") -> list[Wish]:
        ends.update(outcome=outcome, detail=detail)
        return wishes

    monkeypatch.setattr(directories, "run_sync", run)
    return ending


def past_run(opened: Opened, outcome: Outcome, *, mode: Mode = Mode.FULL, detail: str = "") -> int:
    """Leave a run in the log as the engine would."""
    with opened() as store:
        number = store.syncs.begin("corp", mode, "jobs", 1_900_000_000.0)
        store.syncs.progress(number, {"seen": 3}, ITEMS)
        store.syncs.finish(number, outcome, {"seen": 3}, detail, 1_900_000_002.5)
    return number


# run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.DONE, 0), (Outcome.FAILED, 1), (Outcome.INTERRUPTED, 1), (Outcome.HELD, 3)]
)
def test_the_exit_code_tells_the_outcome(cli: Cli, keep: Kept, engine: Any, outcome: Outcome, code: int) -> None:
    """Also with --json, which prints the whole report for each of them."""
    keep()
    engine(outcome)

    words = cli.run("sync", "run", "corp")
    as_json = cli.run("sync", "run", "corp", "--json")

    assert (words.code, as_json.code) == (code, code)
    assert "What happened." in words.out + words.err
    assert (as_json.data["outcome"], as_json.data["run"], as_json.data["counts"]) == (outcome.value, 7, {"seen": 5})
    assert [item["subject"] for item in as_json.data["items"]] == [item.subject for item in ITEMS]


def test_a_dry_run_prints_the_differences(cli: Cli, keep: Kept, engine: Any) -> None:
    """A line for each person and group: what would be done, old and new values, or the reason to leave it."""
    keep()
    wishes = engine(Outcome.DONE, "Nothing was changed.")

    said = cli.run("sync", "run", "corp", "--dry-run")

    assert said.out.splitlines() == [*LINES, "corp: dry run, full, done: Nothing was changed."]
    assert wishes == [Wish(dry_run=True)]


def test_a_real_run_is_one_line(cli: Cli, keep: Kept, engine: Any) -> None:
    """What was done to each is in the log."""
    keep()
    wishes = engine(Outcome.DONE, "5 people seen.")

    said = cli.run("sync", "run", "corp", "--full")

    assert said.out == "corp: run 7, full, done: 5 people seen.\n"
    assert said.err == ""
    assert wishes == [Wish(full=True)]


def test_a_held_run_shows_whom_it_would_end(cli: Cli, keep: Kept, engine: Any) -> None:
    """An admin who is asked to approve must see the names."""
    keep()
    engine(Outcome.HELD)

    assert LINES[2] in cli.run("sync", "run", "corp").out.splitlines()


def test_a_directory_that_does_not_answer_fails_the_run(cli: Cli, keep: Kept, nowhere: str) -> None:
    """Exit code 1, in words; the log keeps it, and standard output has nothing but JSON."""
    keep()

    words = cli.run("sync", "run", "corp")
    as_json = cli.run("sync", "run", "corp", "--json")

    assert (words.code, words.out, as_json.code) == (1, "", 1)
    assert nowhere in words.err
    assert "quaymaster provider test corp" in words.err
    assert as_json.data["outcome"] == "failed"
    assert [run["outcome"] for run in cli.ok("sync", "log", "corp")] == ["failed", "failed"]


def test_a_run_elsewhere_is_waited_for(cli: Cli, keep: Kept, opened: Opened) -> None:
    """Two runs of one provider at the same time would undo each other's work."""
    keep()
    with opened() as store:
        assert store.leases.take(f"{LEASE_PREFIX}corp", "another process", 60.0)

    said = cli.run("sync", "run", "corp", "--json")

    assert (said.code, said.out) == (1, "")
    assert "running already" in said.err


def test_an_unknown_provider_is_told(cli: Cli, keep: Kept) -> None:
    """With those that there are."""
    keep("lab")

    for words in (["run", "x"], ["status", "x"], ["log", "x"], ["conflicts", "x"]):
        said = cli.run("sync", *words)

        assert said.code == 1
        assert "known are: lab (database)" in said.err


def test_only_a_held_run_is_approved(cli: Cli, keep: Kept, opened: Opened, engine: Any) -> None:
    """An unknown number, and a run that was done, are refused before the directory is asked."""
    keep()
    number = past_run(opened, Outcome.DONE)
    wishes = engine(Outcome.DONE)

    done = cli.run("sync", "run", "corp", f"--approve={number}")
    unknown = cli.run("sync", "run", "corp", "--approve=99")

    assert (done.code, unknown.code, wishes) == (1, 1, [])
    assert "is not held" in done.err
    assert "There is no run 99 of corp." in unknown.err


@pytest.mark.parametrize(("mode", "full"), [(Mode.FULL, True), (Mode.INCREMENTAL, False)])
def test_an_approved_run_reads_as_much_as_the_held_one(
    cli: Cli, keep: Kept, opened: Opened, engine: Any, *, mode: Mode, full: bool
) -> None:
    """Else it could miss the leavers that were approved."""
    keep()
    number = past_run(opened, Outcome.HELD, mode=mode)
    wishes = engine(Outcome.DONE)

    cli.ok("sync", "run", "corp", f"--approve={number}")

    assert wishes == [Wish(full=full, approve=number)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_ends_in_good_order_when_it_is_interrupted(number: signal.Signals) -> None:
    """The first signal asks the run to stop; the next one, and any after the run, does what it did before."""
    before = signal.getsignal(number)
    with interruptible() as stopping:
        asked_before = stopping()
        os.kill(os.getpid(), number)
        asked_after, then = stopping(), signal.getsignal(number)

    assert (asked_before, asked_after) == (False, True)
    assert (then, signal.getsignal(number)) == (before, before)


def test_progress_is_for_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file gets no line for each page of the directory."""
    with telling("corp") as tell:
        tell(Progress("people read", 500))

    assert capsys.readouterr() == ("", "")


def test_every_difference_is_readable() -> None:
    """Old and new values, added and removed names, times in ISO 8601; nothing drives a terminal."""
    assert [item_line(item) for item in ITEMS] == LINES


# status, log, conflicts ---------------------------------------------------------------------------


def test_the_status_before_the_first_run(cli: Cli, keep: Kept) -> None:
    """Nothing is known, and nothing is made up; without a provider there is an empty list."""
    assert cli.ok("sync", "status") == []
    keep()

    (row,) = cli.ok("sync", "status", "corp")

    facts = ("last_run", "outcome", "next_due", "full_due", "conflicts", "held_run")
    assert [row[fact] for fact in facts] == [None, None, None, None, 0, None]


def test_the_status_after_runs(cli: Cli, keep: Kept, opened: Opened) -> None:
    """How the last run ended, when the next and the next full one are due, and what waits for an admin."""
    keep("corp", "--full-sync-interval=1h")
    past_run(opened, Outcome.DONE)
    held = past_run(opened, Outcome.HELD, detail="approve it with: so and so")
    past_run(opened, Outcome.FAILED)
    with opened() as store:
        store.syncs.keep_state(SyncState("corp", full_at=1_900_000_000.0, next_at=1_900_000_060.0))
        store.syncs.settle_conflicts("corp", [SyncConflict("corp", "d-1", "dora", "taken")], [])

    (row,) = cli.ok("sync", "status")
    words = cli.run("sync", "status")

    assert (row["outcome"], row["counts"], row["conflicts"]) == ("failed", {"seen": 3}, 1)
    assert (row["next_due"], row["full_due"]) == ("2030-03-17T17:47:40Z", "2030-03-17T18:46:40Z")
    assert row["held_run"] == held
    assert f"corp: run {held} is held. approve it with: so and so" in words.err


def test_a_held_run_is_history_after_one_that_was_done(cli: Cli, keep: Kept, opened: Opened) -> None:
    """Nobody is asked to approve what is settled."""
    keep()
    past_run(opened, Outcome.HELD)
    past_run(opened, Outcome.DONE)

    assert cli.ok("sync", "status")[0]["held_run"] is None


def test_the_log_of_runs(cli: Cli, keep: Kept, opened: Opened) -> None:
    """Newest first, of one provider or of all, at most as many as asked for."""
    keep()
    first, second = past_run(opened, Outcome.DONE), past_run(opened, Outcome.HELD)

    runs = cli.ok("sync", "log")

    assert [run["id"] for run in runs] == [second, first]
    assert (runs[0]["started_at"], runs[0]["seconds"], runs[0]["actor"]) == ("2030-03-17T17:46:40Z", 2.5, "jobs")
    assert [run["id"] for run in cli.ok("sync", "log", "corp", "--limit=1")] == [second]
    assert "held" in cli.run("sync", "log").out


def test_the_log_of_one_run(cli: Cli, keep: Kept, opened: Opened) -> None:
    """With what it did, in its order; a limit says that there may be more; another provider's run is not found."""
    keep()
    keep("lab")
    number = past_run(opened, Outcome.DONE)

    told = cli.ok("sync", "log", "--run", str(number))
    words = cli.run("sync", "log", "corp", "--run", str(number))
    some = cli.run("sync", "log", "--run", str(number), "--limit=2")

    assert (told["id"], told["items"][0]["action"], told["items"][2]["reason"]) == (number, "create", ITEMS[2].reason)
    assert LINES[0] in words.out.splitlines()
    assert "There may be more" in some.err
    assert cli.run("sync", "log", "lab", "--run", str(number)).code == 1


def test_conflicts_are_listed_with_what_to_do(cli: Cli, keep: Kept, opened: Opened) -> None:
    """Each with the id and the place of the entry, for ``user adopt``."""
    keep()
    conflict = SyncConflict("corp", "d-1", "dora", "taken", "uid=dora,dc=lab,dc=test", 1_900_000_000.0)
    with opened() as store:
        store.syncs.settle_conflicts("corp", [conflict], [])

    words = cli.run("sync", "conflicts")

    assert cli.ok("sync", "conflicts", "corp") == [
        {
            "provider": "corp",
            "name": "dora",
            "reason": "taken",
            "external_id": "d-1",
            "hint": "uid=dora,dc=lab,dc=test",
            "since": "2030-03-17T17:46:40Z",
        }
    ]
    assert "uid=dora,dc=lab,dc=test" in words.out
    assert "quaymaster user adopt" in words.err
