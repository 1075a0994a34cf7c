"""One identity provider: where people sign in, and whose SCIM client brings users and groups.

The same model serves ``[sso.NAME]`` in the TOML file and the providers that an admin keeps in the database.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from config.providers import HomeLayout, WayIn
from config.sections import Section


class SsoMethod(StrEnum):
    """The protocol by which people sign in there."""

    SAML = "saml"
    OIDC = "oidc"


class SsoProvider(Section):
    """An identity provider such as Entra ID or Okta: it brings users and groups by SCIM, and ends them."""

    method: SsoMethod
    """How its users prove who they are, ``saml`` or ``oidc``: their passwords are refused everywhere here."""
    default_group: str | None = None
    """A group of Quaymaster's own that every new user of this provider is put into; it is made if it is missing."""
    protocols: frozenset[WayIn] = frozenset()
    """Ways in that a new user gets (sftp, ftps, webdav, api, portal); empty means any. An admin may change them."""
    home_layout: HomeLayout = HomeLayout.NAME
    """What a new user's home folder is called: the login ``name``, or an ``id`` of ours that never changes."""
    max_disabled_percent: Annotated[int, Field(ge=1, le=100)] = 10
    """When more than this share of the users would lose access within a day, the rest waits for an admin."""
    max_disabled_count: Annotated[int, Field(ge=1, le=100000)] = 20
    """So many are disabled without asking, whatever their share."""
    max_requests_per_s: Annotated[int, Field(ge=50, le=100000)] = 500
    """SCIM requests a second that one worker takes from this provider; more are told to come again in a second."""
