"""What both ways of single sign-on share: the person that a provider vouched for, and why it was not believed.

``auth_backends/saml`` and ``auth_backends/oidc`` hold the relying-party logic without HTTP and without a
database. They give a ``Person`` or raise ``SsoRefused``; what the browser is told is the same for every reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SsoReason(StrEnum):
    """Why a response of an identity provider was refused: for audit, admins and metrics; never for the browser."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    FORBIDDEN_XML = "forbidden_xml"
    SEVERAL_ASSERTIONS = "several_assertions"
    PROVIDER_SAID_NO = "provider_said_no"
    NOT_SIGNED = "not_signed"
    BAD_SIGNATURE = "bad_signature"
    FORBIDDEN_ALGORITHM = "forbidden_algorithm"
    NOT_DECRYPTED = "not_decrypted"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_RECIPIENT = "wrong_recipient"
    WRONG_DESTINATION = "wrong_destination"
    WRONG_TENANT = "wrong_tenant"
    OUT_OF_TIME = "out_of_time"
    UNSOLICITED = "unsolicited"
    UNKNOWN_REQUEST = "unknown_request"
    OTHER_BROWSER = "other_browser"
    REPLAYED = "replayed"
    WRONG_NONCE = "wrong_nonce"
    UNKNOWN_SIGNING_KEY = "unknown_signing_key"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason
    SUBJECT_MISSING = "subject_missing"
    SUBJECT_MISMATCH = "subject_mismatch"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the verification as an admin sees it; ``detail`` holds no secret and no whole assertion."""

    name: str
    passed: bool
    detail: str = ""


class SsoRefused(Exception):
    """The response is not believed. ``checks`` lists what was looked at, the failed check last."""

    def __init__(self, reason: SsoReason, detail: str, checks: tuple[Check, ...] = ()) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.checks = checks


@dataclass(frozen=True, slots=True)
class Form:
    """A form that a browser posts to another site's address: how it carries a message that is not in an address."""

    address: str
    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in, as the provider says.

    ``subject`` is the immutable id that links are made by. ``login``, ``display_name`` and ``email``
    are for display and for a new user's first name, never for finding one. ``groups`` None means that the
    provider did not say (or could not, when there are too many): nothing may be concluded from it.
    """

    subject: str
    tenant: str | None
    login: str
    display_name: str
    email: str
    groups: frozenset[str] | None
    claims: Mapping[str, tuple[str, ...]] = field(repr=False)
