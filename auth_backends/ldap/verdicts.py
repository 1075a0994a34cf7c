"""What the answer to a bind means. Pure; anything that is not a sure yes or a sure no is "cannot tell"."""

from __future__ import annotations

import re

from auth_backends.api import Accepted, Factor, Reason, Rejected, Unavailable, Verdict
from auth_backends.ldap.connection import BindAnswer
from auth_backends.ldap.password_policy import PolicyError
from auth_backends.ldap.results import Result, named
from config.ldap import Vendor

_SUBCODE = re.compile(r"\bdata ([0-9a-f]{1,8}),", re.IGNORECASE)

SUBCODES = {
    "525": Reason.DIRECTORY_NO_ENTRY,
    "52e": Reason.WRONG_PASSWORD,
    "530": Reason.DIRECTORY_LOGON_HOURS,
    "531": Reason.DIRECTORY_WORKSTATION,
    "532": Reason.DIRECTORY_PASSWORD_EXPIRED,
    "533": Reason.DIRECTORY_DISABLED,
    "701": Reason.DIRECTORY_EXPIRED,
    "773": Reason.DIRECTORY_PASSWORD_MUST_CHANGE,
    "775": Reason.DIRECTORY_LOCKED,
}
"""Win32 error codes in Active Directory's text ([MS-ERREF] 2.2; "Bind fails with data ..."). Which of them a wrong
password can be told is a server's own choice, so they are for audit only."""

POLICY_ERRORS = {
    PolicyError.PASSWORD_EXPIRED: Reason.DIRECTORY_PASSWORD_EXPIRED,
    PolicyError.ACCOUNT_LOCKED: Reason.DIRECTORY_LOCKED,
    PolicyError.CHANGE_AFTER_RESET: Reason.DIRECTORY_PASSWORD_MUST_CHANGE,
}

_SURE_NO = {
    Result.NO_SUCH_OBJECT: Reason.DIRECTORY_NO_ENTRY,
    Result.INVALID_DN_SYNTAX: Reason.DIRECTORY_REFUSED,
    Result.INAPPROPRIATE_AUTHENTICATION: Reason.NO_PASSWORD_SET,
}
_SURE_NO_OF_389 = {
    Result.CONSTRAINT_VIOLATION: Reason.DIRECTORY_LOCKED,  # "Exceed password retry limit"
    Result.UNWILLING_TO_PERFORM: Reason.DIRECTORY_DISABLED,  # "Account inactivated"
}
_ACTIVE_DIRECTORIES = frozenset({Vendor.ACTIVE_DIRECTORY, Vendor.ENTRA_DS})
_LIKE_389 = frozenset({Vendor.DS389, Vendor.CUSTOM})


def verdict_of(answer: BindAnswer, vendor: Vendor) -> Verdict:
    """Judge by the answer to a bind. No text of the server is passed on: it may repeat what it was sent."""
    if answer.code == Result.SUCCESS:
        reason = _objection(answer)
        return Accepted(Factor.PASSWORD) if reason is None else Rejected(reason)
    if answer.code == Result.INVALID_CREDENTIALS:
        return Rejected(_why_not(answer, vendor))
    known = _SURE_NO | (_SURE_NO_OF_389 if vendor in _LIKE_389 else {})
    for code, reason in known.items():
        if answer.code == code:
            return Rejected(reason)
    return Unavailable(f"the directory answered a password with {named(answer.code)}")


def _objection(answer: BindAnswer) -> Reason | None:
    """Say what the policy holds against a right password, or None. A grace sign-in is one that the policy allows."""
    if answer.policy is None or answer.policy.error is None:
        return None
    if answer.policy.error is PolicyError.PASSWORD_EXPIRED and answer.policy.grace_left is not None:
        return None
    return POLICY_ERRORS[answer.policy.error]


def _why_not(answer: BindAnswer, vendor: Vendor) -> Reason:
    if vendor in _ACTIVE_DIRECTORIES:
        found = _SUBCODE.search(answer.message)
        return Reason.DIRECTORY_REFUSED if found is None else SUBCODES.get(found[1].lower(), Reason.DIRECTORY_REFUSED)
    if answer.policy is not None and answer.policy.error is not None:
        return POLICY_ERRORS[answer.policy.error]
    return Reason.WRONG_PASSWORD
