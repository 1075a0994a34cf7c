"""The verbs of ``/Groups``: members are changed by deltas and read only for a client that wants to see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.http.scim.attributes import Kind
from server.http.scim.bodies.group_changes import GroupDelta, group_created, group_patched, group_replaced
from server.http.scim.bodies.group_extensions import patched_extensions
from server.http.scim.errors import ScimError
from server.http.scim.queries.projection import Projection, projection
from server.http.scim.rendering import MemberRef, Meta, group_resource
from server.http.scim.requests import ScimAnswer, ScimRequest
from server.http.scim.shrinking import tell_shrinking
from server.http.scim.site import TRIES, ProviderSite, checked_version, wait_a_turn
from storage.database.changes import Applied
from storage.database.scim import ScimGroup
from storage.database.scim_changes import AddMembers, ReplaceMembers, ScimCreateGroup, ScimDeleteGroup, ScimUpdateGroup
from storage.database.store import Stale

MAX_LISTED = 100_000  # members in the answer to one list


class GroupVerbs:
    """Create, read, replace, patch and delete one group; blocking."""

    def __init__(self, site: ProviderSite) -> None:
        self._site = site

    def create(self, request: ScimRequest) -> ScimAnswer:
        """Make a group; 201."""
        delta, site = group_created(request.json()), self._site
        members = tuple(
            member for step in delta.steps if isinstance(step, AddMembers | ReplaceMembers) for member in step.ids
        )
        said = (delta.display_name or "", delta.external_id or "")
        change = ScimCreateGroup(site.name, *said, members, delta.document or {})
        applied = site.apply(change)
        row, wanted = self._found(applied.subject_id), self._projection(request)
        resource = self.rendered(row, wanted)
        headers = {"ETag": meta_of(row).etag, "Location": resource["meta"]["location"]}
        changed = _changed(applied, delta.ignored)
        return ScimAnswer(201, wanted.apply(resource), headers, row.display_name, changed)

    def read(self, request: ScimRequest, group_id: str) -> ScimAnswer:
        """Give a group; 200, or 304 if the client has this version."""
        wanted, row, known = self._projection(request), self._found(group_id), request.known_versions()
        headers = {"ETag": meta_of(row).etag}
        if known is not None and str(row.version) in known:
            return ScimAnswer(304, None, headers)
        return ScimAnswer(200, wanted.apply(self.rendered(row, wanted)), headers)

    def replace(self, request: ScimRequest, group_id: str) -> ScimAnswer:
        """Put a whole group in place of the present one; members that are not said stay. 200."""
        row, changed = self._update(request, group_id, group_replaced(request.json()))
        wanted = self._projection(request)
        headers = {"ETag": meta_of(row).etag}
        resource = wanted.apply(self.rendered(row, wanted))
        return ScimAnswer(200, resource, headers, row.display_name, changed)

    def patch(self, request: ScimRequest, group_id: str) -> ScimAnswer:
        """Change some of a group; 204 without a list of members, as Entra wants it.

        With ``attributes`` the client asks for the group, and gets it with 200 (RFC 7644 section 3.5.2).
        """
        row, changed = self._update(request, group_id, group_patched(request.json()))
        headers = {"ETag": meta_of(row).etag}
        if "attributes" not in request.parameters():
            return ScimAnswer(204, None, headers, row.display_name, changed)
        wanted = self._projection(request)
        return ScimAnswer(200, wanted.apply(self.rendered(row, wanted)), headers, row.display_name, changed)

    def delete(self, request: ScimRequest, group_id: str) -> ScimAnswer:
        """End a group and the memberships in it; 204."""
        row, expected = self._found(group_id), request.expected_versions()
        checked_version(expected, row.version)
        version = None if expected is None else row.version
        try:
            applied = self._site.apply(ScimDeleteGroup(self._site.name, group_id, version))
        except Stale as error:
            raise ScimError(412, error.message) from None
        tell_shrinking(self._site, row, applied)
        return ScimAnswer(204, None, subject=row.display_name, changed=applied.detail)

    def rendered(self, row: ScimGroup, wanted: Projection | None = None) -> dict[str, Any]:
        """Give a group as the client sees it; its members are read only if they are wanted."""
        members: list[MemberRef] | None = None
        if wanted is None or wanted.wants("members"):
            members = [MemberRef(member) for member, _name in self._site.store.scim_groups.members(row.group_id)]
        said = {"displayName": row.display_name, **({"externalId": row.external_id} if row.external_id else {})}
        return group_resource(row.group_id, said | row.document, members, meta_of(row), self._site.base)

    def listed(self, rows: Sequence[ScimGroup], wanted: Projection) -> list[dict[str, Any]]:
        """Give a list's groups; refuses more members than one answer may have before any is read. Raises ScimError."""
        if rows and wanted.wants("members"):
            ids = [row.group_id for row in rows]
            if self._site.store.scim_groups.member_count(ids, up_to=MAX_LISTED + 1) > MAX_LISTED:
                detail = (
                    f"These groups have more than {MAX_LISTED} members together: "
                    "ask with excludedAttributes=members, or for fewer groups at a time (count)."
                )
                raise ScimError(400, detail, "tooMany")
        return [self.rendered(row, wanted) for row in rows]

    def _update(self, request: ScimRequest, group_id: str, delta: GroupDelta) -> tuple[ScimGroup, dict[str, object]]:
        """Change a group; give it as it is then, and what changed, for the provisioning log.

        Deltas need no version of it. Extensions are made from the present ones: if somebody else was faster, they are
        made again on top of that.
        """
        site, expected = self._site, request.expected_versions()
        for tries in range(TRIES):
            row = self._found(group_id)
            checked_version(expected, row.version)
            document, ignored = delta.document, delta.ignored
            if delta.extensions:
                document, more = patched_extensions(row.document, delta.extensions)
                ignored = tuple(dict.fromkeys((*ignored, *more)))
            version = row.version if delta.extensions or expected is not None else None
            said = (delta.display_name, delta.external_id, delta.steps)
            try:
                applied = site.apply(ScimUpdateGroup(site.name, group_id, *said, version, document))
            except Stale as error:
                if expected is not None:
                    raise ScimError(412, error.message) from None
                if tries == TRIES - 1:
                    raise ScimError(409, error.message) from None
                wait_a_turn(tries)
                continue
            tell_shrinking(site, row, applied)
            return self._found(group_id), _changed(applied, ignored)
        raise ScimError(500, "The group could not be changed.")  # pragma: no cover - the last round gives or raises

    def _found(self, group_id: str) -> ScimGroup:
        row = self._site.store.scim_groups.by_id(self._site.name, group_id)
        if row is None:
            raise ScimError(404, "There is no such group.")
        return row

    def _projection(self, request: ScimRequest) -> Projection:
        parameters = request.parameters()
        return projection(parameters.get("attributes"), parameters.get("excludedattributes"), Kind.GROUP)


def meta_of(row: ScimGroup) -> Meta:
    """Give a group's times and version."""
    return Meta(row.created_at, row.modified_at, row.version)


def _changed(applied: Applied, ignored: tuple[str, ...]) -> dict[str, object]:
    return {**(applied.detail if applied.changed else {}), **({"ignored": list(ignored)} if ignored else {})}
