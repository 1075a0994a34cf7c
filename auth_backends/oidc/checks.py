"""The list of what was looked at, which goes with a result and with a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auth_backends.sso import Check, SsoReason, SsoRefused


class CheckList:
    """One verification, step by step; not thread-safe. The first step that fails ends it."""

    def __init__(self, before: tuple[Check, ...] = ()) -> None:
        self._checks = list(before)

    def demand(self, name: str, passed: bool, reason: SsoReason, complaint: str, detail: str = "") -> None:  # noqa: FBT001 - what is demanded
        """Note a step. Raises SsoRefused with all steps so far if it did not pass."""
        self._checks.append(Check(name, passed, detail if passed else complaint))
        if not passed:
            raise SsoRefused(reason, complaint, self.done)

    def note(self, name: str, detail: str) -> None:
        """Note what was found where nothing is demanded."""
        self._checks.append(Check(name, passed=True, detail=detail))

    @contextmanager
    def watching(self, name: str, detail: str = "") -> Iterator[None]:
        """Note a step that passes if nothing is refused within; a refusal goes on with all steps so far."""
        try:
            yield
        except SsoRefused as refused:
            inner = refused.checks or (Check(name, passed=False, detail=refused.detail),)
            raise SsoRefused(refused.reason, refused.detail, (*self._checks, *inner)) from None
        self.note(name, detail)

    @property
    def done(self) -> tuple[Check, ...]:
        """The steps so far."""
        return tuple(self._checks)
