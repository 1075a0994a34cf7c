"""What is known of one attempt while the broker decides on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from auth_backends.api import (
    Accepted,
    Account,
    Attempt,
    Factor,
    NotMine,
    Reason,
    Refused,
    Rejected,
    TryLater,
    Unavailable,
    Verdict,
)

GUESSABLE = frozenset({Factor.PASSWORD, Factor.KEY_AND_PASSWORD})
"""Kinds of credential that can be guessed: they count against the user and always cost one hash."""


@dataclass(slots=True)
class Case:
    """Filled step by step; the audit event is written from it. It holds no secret besides the attempt's."""

    attempt: Attempt
    kind: Factor
    name: str | None = None
    """The canonical login name, or None if there is none (yet)."""
    account: Account | None = None
    user_failures: int = 0
    worked: bool = False
    """Whether a password was verified, so that no dummy work is due."""
    counted: bool = False
    """Whether the failure is in the throttle already, or must not be."""
    cached: bool = False
    over_limit: bool = False
    """Whether the throttle's own limit ended it, which costs nothing and tells nothing."""
    note: str = ""
    """Why nobody can tell, for the audit event and the log."""

    @property
    def throttle_name(self) -> str | None:
        """The name whose counter this attempt is held against, or None for the network's alone."""
        return self.name if self.kind in GUESSABLE else None


class Stop(Exception):
    """Ends the decision at some step.

    ``counts`` says whether the refusal is a failure for the throttle.
    """

    def __init__(self, decision: Refused | TryLater, *, counts: bool = True, note: str = "") -> None:
        super().__init__(decision.reason)
        self.decision = decision
        self.counts = counts
        self.note = note


def refuse(reason: Reason, *, counts: bool = True) -> Stop:
    """Make the end of a decision that says no."""
    return Stop(Refused(reason), counts=counts)


def try_later(reason: Reason, note: str, retry_after_s: float = 5.0) -> Stop:
    """Make the end of a decision that nobody can take now."""
    return Stop(TryLater(reason, retry_after_s), counts=False, note=note)


def accepted(verdict: Verdict) -> Accepted:
    """Give a backend's yes; anything else ends the decision, and only a sure no is a refusal."""
    match verdict:
        case Accepted():
            return verdict
        case Rejected():
            raise refuse(verdict.reason)
        case NotMine():
            raise try_later(Reason.NO_BACKEND, "the backend of this method says the account is not its own")
        case Unavailable():
            raise try_later(Reason.BACKEND_UNAVAILABLE, verdict.detail, verdict.retry_after_s)
        case _:
            assert_never(verdict)
