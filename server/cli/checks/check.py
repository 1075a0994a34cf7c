"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """``warn`` is worth knowing; ``fail`` keeps the server from working or from being safe."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    outcome: Outcome
    detail: str
    advice: str = ""

    def view(self) -> dict[str, str]:
        """Give the check as JSON shows it."""
        return {"name": self.name, "outcome": self.outcome.value, "detail": self.detail, "advice": self.advice}


def ok(name: str, detail: str) -> Check:
    """Nothing to do."""
    return Check(name, Outcome.OK, detail)


def warn(name: str, detail: str, advice: str) -> Check:
    """Works, with a drawback."""
    return Check(name, Outcome.WARN, detail, advice)


def fail(name: str, detail: str, advice: str) -> Check:
    """Must be corrected."""
    return Check(name, Outcome.FAIL, detail, advice)
