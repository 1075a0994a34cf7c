"""How many wrong passwords keep an account unlocked."""

from __future__ import annotations

import pytest

from auth_backends.api import AttemptLimit
from auth_backends.ldap.lockout import DAY_S, NEVER, UNREADABLE, Lockout, limit_of, strictest


@pytest.mark.parametrize(
    ("lockout", "limit"),
    [
        (Lockout(5, 900.0), AttemptLimit(4, 900.0)),
        (Lockout(2, 60.0), AttemptLimit(1, 60.0)),
        (Lockout(1, 60.0), AttemptLimit(1, 60.0)),
        (Lockout(3, 0.0), AttemptLimit(2, DAY_S)),
        (UNREADABLE, AttemptLimit(2, 600.0)),
        (NEVER, None),
    ],
)
def test_one_less_than_locks(lockout: Lockout, limit: AttemptLimit | None) -> None:
    """A directory that never forgets is taken to do so after a day; a threshold of 1 cannot be kept."""
    assert limit == limit_of(lockout)


def test_the_strictest_of_many() -> None:
    """The lowest threshold and the longest memory; nothing known is nothing known."""
    assert Lockout(3, DAY_S) == strictest([Lockout(5, 900.0), NEVER, Lockout(3, 60.0), Lockout(9, 0.0)])
    assert strictest([NEVER, NEVER]) == NEVER
    assert strictest([]) is None
