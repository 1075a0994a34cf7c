"""The alarm for a group that loses many members by one request: it may be meant, or the worst bug of a client."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from server.http.scim.site import ProviderSite
from storage.database.changes import Applied
from storage.database.scim import ScimGroup

log = structlog.get_logger(__name__)


def tell_shrinking(site: ProviderSite, row: ScimGroup, applied: Applied) -> None:
    """Write an audit event and an error to the log if more left by one request than may be put out unasked."""
    left = _number(applied.detail, "left")
    if left <= site.provider.max_disabled_count:
        return
    detail = {"left": left, "joined": _number(applied.detail, "joined"), "group_id": row.group_id}
    site.store.audit.add(
        "scim.group_shrank",
        site.actor,
        f"group:{row.display_name}",
        "alarm",
        "many-left",
        front_end="scim",
        detail=detail,
    )
    log.error("scim.group_shrank", provider=site.name, group=row.display_name, left=left)


def _number(detail: Mapping[str, object], name: str) -> int:
    value = detail.get(name)
    return value if isinstance(value, int) else 0
