"""The change that a sign-in at an identity provider makes."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database.records import Method


@dataclass(frozen=True, slots=True)
class SignInJit:
    """What an identity provider says of a person who signs in (just-in-time provisioning).

    Makes the user of ``(provider, external_id)`` if there is none and ``make`` is set: with no privileges, and as a
    member of ``default_group`` (an id). ``groups`` are external ids of the provider's groups: those that a SCIM client
    has told become memberships that sign-ins own, and others of these end; None changes none. What an admin or another
    source gave stays.
    """

    provider: str
    method: Method
    external_id: str
    name: str
    display_name: str = ""
    email: str = ""
    groups: frozenset[str] | None = None
    make: bool = False
    home_by_id: bool = False
    protocols: frozenset[str] = frozenset()
    default_group: str | None = None
