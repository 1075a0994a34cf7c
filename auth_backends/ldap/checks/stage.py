"""The result of one step of the check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """``warn`` is worth knowing; ``fail`` keeps people from signing in, or the sync from running."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Stage:
    """What was tried, how it went, and what to change. ``host`` is the server as NAME:PORT, or empty for all."""

    name: str
    outcome: Outcome
    detail: str
    advice: str = ""
    host: str = ""

    @property
    def ok(self) -> bool:
        """Whether the way goes on from here."""
        return self.outcome is not Outcome.FAIL


def passed(name: str, detail: str, host: str = "") -> Stage:
    """Nothing to do."""
    return Stage(name, Outcome.OK, detail, "", host)


def warned(name: str, detail: str, advice: str, host: str = "") -> Stage:
    """Works, with a drawback."""
    return Stage(name, Outcome.WARN, detail, advice, host)


def failed(name: str, detail: str, advice: str, host: str = "") -> Stage:
    """Must be changed."""
    return Stage(name, Outcome.FAIL, detail, advice, host)
