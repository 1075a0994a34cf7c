"""External ids that are made of the login name, such as Entra ID's default mailNickname: a rename changes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_NICKNAME = 64
_GUID = re.compile(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?")


def looks_like_nickname(document: Mapping[str, Any]) -> bool:
    """Whether the external id of a person's document is the userName, or what stands before its @."""
    external_id, user_name = str(document.get("externalId") or ""), str(document.get("userName") or "")
    if not external_id or len(external_id) > MAX_NICKNAME or _GUID.fullmatch(external_id):
        return False
    return external_id.casefold() in {user_name.casefold(), user_name.partition("@")[0].casefold()}
