"""Enrols users in one-time codes through the command line, and makes their codes."""

from __future__ import annotations

import time
from unittest import mock

from auth_backends.api import Secret
from auth_backends.totp import STEP_S, code_at
from server.cli.user import totp as user_totp
from tests.support.cli import Cli

SECRET = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
"""The secret of RFC 6238, appendix B."""


def code_now(off: int = 0) -> str:
    """Give the code of the present time step, or of one so many steps away."""
    return code_at(SECRET, int(time.time() // STEP_S) + off)


def wrong_code() -> str:
    """Give a code that is right neither now nor within the next minute."""
    right = {code_now(off) for off in range(-2, 5)}
    return next(code for code in (f"{number:06d}" for number in range(10)) if code not in right)


def enrol(cli: Cli, name: str, *options: str) -> None:
    """Enrol a user with SECRET; a code is given with the command, which could not be for a secret of chance."""
    with mock.patch.object(user_totp, "new_secret", return_value=SECRET):
        cli.ok("user", "totp", "enrol", name, "--code-stdin", *options, stdin=f"{code_now()}\n")
