"""The verbs of ``/Users``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from config.providers import HomeLayout
from server.default_group import default_group
from server.http.scim.attributes import Kind
from server.http.scim.bodies.documents import finished_user, replaced_user, user_document
from server.http.scim.bodies.patching import patched_user
from server.http.scim.errors import ScimError
from server.http.scim.nicknames import looks_like_nickname
from server.http.scim.person import facts_of, speaks_of_access
from server.http.scim.queries.projection import Projection, projection
from server.http.scim.rendering import GroupRef, Meta, user_resource
from server.http.scim.requests import ScimAnswer, ScimRequest
from server.http.scim.site import TRIES, ProviderSite, checked_version, wait_a_turn
from storage.database.changes import Applied
from storage.database.records import Method
from storage.database.scim import ScimUser
from storage.database.scim_changes import ScimCreateUser, ScimDeleteUser, ScimUpdateUser
from storage.database.scim_waiting import ScimConflict
from storage.database.store import Held, Stale, StoreError, Taken

log = structlog.get_logger(__name__)

Document = dict[str, Any]
Made = Callable[[Document, object], tuple[Document, tuple[str, ...]]]


class UserVerbs:
    """Create, read, replace, patch and delete one user; blocking."""

    def __init__(self, site: ProviderSite) -> None:
        self._site = site

    def create(self, request: ScimRequest) -> ScimAnswer:
        """Make a user, or bring one back whom the client deleted; 201."""
        document, ignored = user_document(request.json())
        site, facts = self._site, facts_of(document)
        change = ScimCreateUser(
            provider=site.name,
            method=Method(site.provider.method.value),
            facts=facts,
            document=document,
            default_group=default_group(site.store, site.provider.default_group, site.apply, ScimError),
            protocols=site.provider.protocols,
            home_by_id=site.provider.home_layout is HomeLayout.ID,
            limit=site.limit,
        )
        try:
            applied = self._apply(change, document)
        except Held as error:  # an inactive person who would take over a user who is active here
            raise site.held(error.user_id, "disable", error) from error
        try:
            site.store.scim_waiting.settle(site.name, facts.external_id, facts.user_name)
        except StoreError as error:  # the user is made, and the next round settles it
            log.warning("scim.conflict_not_settled", provider=site.name, error=str(error))
        return self._told(request, self._found(applied.subject_id), applied, ignored, created=True)

    def read(self, request: ScimRequest, user_id: str) -> ScimAnswer:
        """Give a user, also an inactive one; 200, or 304 if the client has this version."""
        wanted = self._projection(request)
        row = self._found(user_id)
        known = request.known_versions()
        meta = meta_of(row)
        headers = {"ETag": meta.etag}
        # Joining a group is no new version of the user: with the groups in it, the answer may differ all the same.
        if known is not None and str(row.version) in known and not wanted.wants("groups"):
            return ScimAnswer(304, None, headers)
        return ScimAnswer(200, wanted.apply(self.rendered([row], wanted)[0]), headers)

    def replace(self, request: ScimRequest, user_id: str) -> ScimAnswer:
        """Put a whole user in place of the present one; 200. An externalId that is not said stays: it is the link."""

        def made(present: Document, body: object) -> tuple[Document, tuple[str, ...]]:
            document, ignored = replaced_user(present, body)
            if "externalId" in present and "externalId" not in document:
                document = finished_user({**document, "externalId": present["externalId"]})
            return document, ignored

        return self._update(request, user_id, made)

    def patch(self, request: ScimRequest, user_id: str) -> ScimAnswer:
        """Change some of a user; 200."""
        return self._update(request, user_id, patched_user)

    def delete(self, request: ScimRequest, user_id: str) -> ScimAnswer:
        """End a user, who is not found any more; 204."""
        site, row = self._site, self._found(user_id)
        checked_version(request.expected_versions(), row.version)
        version = None if request.expected_versions() is None else row.version
        try:
            applied = site.apply(ScimDeleteUser(site.name, user_id, site.limit, version))
        except Held as error:
            raise site.held(user_id, "delete", error) from error
        except Stale as error:
            raise ScimError(412, error.message) from None
        return ScimAnswer(204, None, subject=row.document["userName"], changed=applied.detail)

    def rendered(self, rows: Sequence[ScimUser], wanted: Projection | None = None) -> list[dict[str, Any]]:
        """Give users as the client sees them, with their groups if those are wanted."""
        site = self._site
        groups: dict[str, list[tuple[str, str]]] = {}
        if wanted is None or wanted.wants("groups"):
            groups = site.store.scim_people.groups_of(site.name, [row.user_id for row in rows])
        return [
            user_resource(
                row.user_id,
                row.document,
                [GroupRef(*group) for group in groups.get(row.user_id, ())],
                meta_of(row),
                site.base,
            )
            for row in rows
        ]

    def _update(self, request: ScimRequest, user_id: str, made: Made) -> ScimAnswer:
        site, body, expected = self._site, request.json(), request.expected_versions()
        for tries in range(TRIES):
            row = self._found(user_id)
            checked_version(expected, row.version)
            document, ignored = made(row.document, body)
            facts = facts_of(document)
            change = ScimUpdateUser(
                site.name, user_id, facts, document, row.version, site.limit, says_active=speaks_of_access(body)
            )
            try:
                applied = self._apply(change, document)
            except Stale as error:  # somebody else changed it in between: what was said goes on top of that
                if tries == TRIES - 1:
                    raise ScimError(409, error.message) from None
                wait_a_turn(tries)
                continue
            except Held as error:
                raise site.held(user_id, "disable", error) from error
            return self._told(request, self._found(user_id), applied, ignored)
        raise ScimError(500, "The user could not be changed.")  # pragma: no cover - the last round gives or raises

    def _apply(self, change: ScimCreateUser | ScimUpdateUser, document: Document) -> Applied:
        """Make a change; a name that is somebody else's is kept for an admin to look at."""
        try:
            return self._site.apply(change)
        except ScimError as error:
            if isinstance(error.__cause__, Taken):
                self._contest(document, error.__cause__)
            raise

    def _found(self, user_id: str) -> ScimUser:
        row = self._site.store.scim_people.by_id(self._site.name, user_id)
        if row is None:
            raise ScimError(404, "There is no such user.")
        return row

    def _told(
        self, request: ScimRequest, row: ScimUser, applied: Applied, ignored: tuple[str, ...], *, created: bool = False
    ) -> ScimAnswer:
        wanted = self._projection(request)
        resource = self.rendered([row], wanted)[0]
        headers = {"ETag": meta_of(row).etag}
        if created:
            headers["Location"] = resource["meta"]["location"]
        changed = {**(applied.detail if applied.changed else {}), **({"ignored": list(ignored)} if ignored else {})}
        if "external_id" in changed and looks_like_nickname(row.document):
            changed["external_id_looks_like"] = "mailNickname"
            log.warning("scim.external_id_is_a_nickname", provider=self._site.name, user=row.document["userName"])
        return ScimAnswer(201 if created else 200, wanted.apply(resource), headers, row.document["userName"], changed)

    def _projection(self, request: ScimRequest) -> Projection:
        parameters = request.parameters()
        return projection(parameters.get("attributes"), parameters.get("excludedattributes"), Kind.USER)

    def _contest(self, document: Document, error: Taken) -> None:
        """Let an admin see whom the client could not make: the name is another source's, or was."""
        site = self._site
        if site.store.scim_people.by_id(site.name, error.holder) is not None:
            return  # the client's own: it will find that user
        conflict = ScimConflict(
            provider=site.name,
            external_id=document.get("externalId", ""),
            user_name=document["userName"],
            holder_id=error.holder,
            reason=error.message,
            document=document,
            asked_at=site.clock(),
            held_as=error.held_as,
        )
        site.store.scim_waiting.contest(conflict)


def meta_of(row: ScimUser) -> Meta:
    """Give a user's times and version."""
    return Meta(row.created_at, row.modified_at, row.version)
