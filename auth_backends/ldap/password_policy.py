"""The password policy control: what a directory adds to the answer of a bind (draft-behera-ldap-password-policy-10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from auth_backends.ldap import ber

OID = "1.3.6.1.4.1.42.2.27.8.5.1"
NETSCAPE_EXPIRED = "2.16.840.1.113730.3.4.4"  # draft-vchu-ldap-pwd-policy-00: 389 sends it unasked
_WARNING, _ERROR = 0xA0, 0x81
_GRACE = 0x81


class PolicyError(IntEnum):
    """Section 6.2: what a bind can be told of the account."""

    PASSWORD_EXPIRED = 0
    ACCOUNT_LOCKED = 1
    CHANGE_AFTER_RESET = 2


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """``error`` is None if none was told; ``grace_left`` counts sign-ins left with a password that has run out."""

    error: PolicyError | None = None
    grace_left: int | None = None


def policy_answer(controls: Mapping[str, bytes | None], *, succeeded: bool) -> PolicyAnswer | None:
    """Read what the controls of a bind's answer say, or None if they say nothing. Raises BerError."""
    if NETSCAPE_EXPIRED in controls:
        return PolicyAnswer(PolicyError.CHANGE_AFTER_RESET if succeeded else PolicyError.PASSWORD_EXPIRED)
    value = controls.get(OID)
    return None if value is None else _read(value)


def _read(value: bytes) -> PolicyAnswer:
    error, grace = None, None
    for sequence in ber.elements(value, 0, len(value)):
        if sequence[0] != ber.SEQUENCE:
            raise ber.BerError("a password policy control without its sequence")
        for tag, begin, end in ber.elements(value, sequence[1], sequence[2]):
            if tag == _ERROR:
                error = _error(int.from_bytes(value[begin:end], "big"))
            elif tag == _WARNING:
                grace = _grace(value, begin, end)
    return PolicyAnswer(error, grace)


def _error(number: int) -> PolicyError | None:
    return PolicyError(number) if number in {*PolicyError} else None  # the others are about changing a password


def _grace(value: bytes, begin: int, end: int) -> int | None:
    for tag, first, last in ber.elements(value, begin, end):
        if tag == _GRACE:
            return int.from_bytes(value[first:last], "big")
    return None
