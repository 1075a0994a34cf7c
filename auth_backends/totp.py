"""One-time codes by time (TOTP, RFC 6238): six digits of HMAC-SHA-1 for each 30 seconds, as every app makes them.

The shared secret is kept sealed under the site key. A code is accepted once, and none that is older than one that was
accepted (RFC 6238 section 5.2); one step of 30 seconds to each side is allowed for clocks and typing (section 6).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from enum import StrEnum

import pyotp

from auth_backends.api import Secret
from storage.database.records import User
from storage.database.sealing import SiteKey
from storage.database.store import Store
from storage.database.totp_changes import EnrolTotp

ISSUER = "Quaymaster"
STEP_S = 30
SECRET_LENGTH = 32  # of base32: 160 bits, as RFC 4226 section 4, R6 recommends
DIGITS = 6
_CODE = re.compile(r"[0-9]{6}")


class CodeAnswer(StrEnum):
    """What is to be said of one code."""

    RIGHT = "right"
    WRONG = "wrong"
    USED = "used"
    NOT_ENROLLED = "not_enrolled"


def new_secret() -> Secret:
    """Make a shared secret: 160 random bits in base32, as apps take it."""
    return Secret(pyotp.random_base32(SECRET_LENGTH))


def enrolment_uri(secret: Secret, name: str) -> Secret:
    """Give the otpauth URI that an app reads, usually from a QR code; it contains the secret.

    The form is that of the Key URI Format page of Google Authenticator's wiki; digits and period are its defaults.
    """
    return Secret(pyotp.TOTP(secret.reveal(), interval=STEP_S).provisioning_uri(name=name, issuer_name=ISSUER))


def code_at(secret: Secret, step: int) -> str:
    """Give the code of a time step: HOTP (RFC 4226 section 5.3) of the step as its counter (RFC 6238 section 4.2)."""
    return pyotp.HOTP(secret.reveal(), digits=DIGITS).at(step)


def step_of(secret: Secret, code: Secret, now: float) -> int | None:
    """Give the time step that this is the code of, or None. ``now`` is Unix seconds.

    Only the present step and its two neighbours count. All three are compared, each in constant time, and the newest
    one is given. Spaces in the code are ignored: apps show two groups of three digits.
    """
    typed = "".join(code.reveal().split())
    if _CODE.fullmatch(typed) is None:
        return None
    present = int(now // STEP_S)
    window = range(max(0, present - 1), present + 2)
    same = [step for step in window if hmac.compare_digest(code_at(secret, step), typed)]
    return max(same, default=None)


def enrolment(user: User, secret: Secret, code: Secret, key: SiteKey, now: float) -> EnrolTotp | None:
    """Make the change by which the user is asked for codes of this secret, or None if the first code is wrong."""
    step = step_of(secret, code, now)
    return None if step is None else EnrolTotp(user.id, key.seal(secret.reveal(), _place(user.id)), step)


class TotpCodes:
    """Blocking and thread-safe. ``site_key`` is asked for each time a code is checked of somebody enrolled."""

    def __init__(self, store: Store, site_key: Callable[[], SiteKey]) -> None:
        self._store = store
        self._site_key = site_key

    def use(self, user_id: str, code: Secret, now: float) -> CodeAnswer:
        """Say whether the code is right, and use it up: on all workers together it is right once.

        Raises StoreError when nobody can tell, also where the site key is missing or another one.
        """
        kept = self._store.totp.of(user_id)
        if kept is None:
            return CodeAnswer.NOT_ENROLLED
        secret = Secret(self._site_key().unseal(kept.sealed, _place(user_id)))
        step = step_of(secret, code, now)
        if step is None:
            return CodeAnswer.WRONG
        return CodeAnswer.RIGHT if self._store.totp.take(kept, step) else CodeAnswer.USED


def _place(user_id: str) -> str:
    return f"user/{user_id}/totp"
