"""Lists and searches: what an index can find is looked up, and only the rest is matched one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from server.http.scim.attributes import Kind
from server.http.scim.errors import ScimError
from server.http.scim.groups import GroupVerbs
from server.http.scim.queries.filters import Filter, Lookup, parse
from server.http.scim.queries.paging import Page, page_of
from server.http.scim.queries.projection import Projection, projection
from server.http.scim.queries.scans import scan
from server.http.scim.rendering import list_response
from server.http.scim.requests import ScimAnswer
from server.http.scim.site import ProviderSite
from server.http.scim.users import UserVerbs
from storage.database.names import canonical_name
from storage.database.scim import ScimGroup, ScimUser
from storage.database.store import InvalidName

KINDS = (Kind.USER, Kind.GROUP)


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for, of one kind or of all; values as they stand in a query's text or a search's JSON."""

    filter: object = None
    start_index: object = None
    count: object = None
    attributes: object = None
    excluded: object = None

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, str]) -> Query:
        """Read a GET's query."""
        get = parameters.get
        return cls(get("filter"), get("startindex"), get("count"), get("attributes"), get("excludedattributes"))

    @classmethod
    def of_body(cls, body: object) -> Query:
        """Read the body of a ``.search``: RFC 7644 section 3.4.3. Raises ScimError."""
        if not isinstance(body, dict):
            raise ScimError(400, "The body is not a JSON object.", "invalidSyntax")
        get = {str(name).lower(): value for name, value in body.items()}.get
        return cls(get("filter"), get("startindex"), get("count"), get("attributes"), get("excludedattributes"))


class Search:
    """Answers lists of one provider's people and groups; blocking."""

    def __init__(self, site: ProviderSite) -> None:
        self._site = site
        self._users = UserVerbs(site)
        self._groups = GroupVerbs(site)

    def answer(self, kinds: Iterable[Kind], query: Query) -> ScimAnswer:
        """Give a page of what matches, of these kinds one after the other; 200, also if nothing does."""
        page = page_of(query.start_index, query.count)
        filters = self._filters(tuple(kinds), query.filter)
        total = 0
        resources: list[dict[str, Any]] = []
        for kind, chosen in filters.items():
            wanted = projection(query.attributes, query.excluded, kind)
            part = Page(max(0, page.offset - total), page.limit - len(resources))
            count, found = self._part(kind, chosen, part, wanted)
            total += count
            resources += [wanted.apply(resource) for resource in found]
        return ScimAnswer(200, list_response(resources, total, page))

    def _filters(self, kinds: tuple[Kind, ...], text: object) -> dict[Kind, Filter | None]:
        """Read the filter for each kind; over several, one that has none of its attributes has nobody who matches."""
        if text is None or text == "":
            return dict.fromkeys(kinds)
        if not isinstance(text, str):
            raise ScimError(400, "A filter is a text.", "invalidFilter")
        if len(kinds) == 1:
            return {kinds[0]: parse(text, kinds[0])}
        found: dict[Kind, Filter | None] = {}
        problem: ScimError | None = None
        for kind in kinds:
            try:
                found[kind] = parse(text, kind)
            except ScimError as error:
                problem = error
        if not found and problem is not None:
            raise problem
        return found

    def _part(
        self, kind: Kind, chosen: Filter | None, page: Page, wanted: Projection
    ) -> tuple[int, list[dict[str, Any]]]:
        """Give how many of a kind match, and the page's part of them."""
        match kind:
            case Kind.USER:
                return self._people(chosen, page, wanted)
            case Kind.GROUP:
                return self._collectives(chosen, page, wanted)
            case _:
                assert_never(kind)

    # People -----------------------------------------------------------------------------------------

    def _people(self, chosen: Filter | None, page: Page, wanted: Projection) -> tuple[int, list[dict[str, Any]]]:
        store, name = self._site.store.scim_people, self._site.name
        if chosen is None:
            rows = store.page(name, page.offset, page.limit) if page.limit else []
            return store.count(name), self._users.rendered(rows, wanted)
        lookup = next((one for one in chosen.lookups if one.attribute in _PEOPLE_INDEXED), None)
        if lookup is None:
            scanned = scan(store.everybody(name), lambda rows: self._matching(chosen, rows), page)
            return scanned.total, self._users.rendered(scanned.rows, wanted)
        found = self._people_by(lookup)
        matching = found if chosen.is_only_lookup else list(self._matching(chosen, found))
        return len(matching), self._users.rendered(_part_of(matching, page), wanted)

    def _people_by(self, lookup: Lookup) -> list[ScimUser]:
        store, name = self._site.store.scim_people, self._site.name
        match lookup.attribute:
            case "id":
                found = store.by_id(name, lookup.value)
            case "userName":
                key = _canonical(lookup.value)
                found = None if key is None else store.by_user_name(name, key)
            case "externalId":
                found = store.by_external_id(name, lookup.value)
            case _:
                return store.by_email(name, lookup.value)
        return [] if found is None else [found]

    def _matching(self, chosen: Filter, rows: list[ScimUser]) -> Iterator[ScimUser]:
        """Give those who match; the groups of all are read at once, if they matter."""
        resources = self._users.rendered(rows, None if chosen.reads("groups") else _NO_GROUPS)
        return (row for row, resource in zip(rows, resources, strict=True) if chosen.matches(resource))

    # Groups -----------------------------------------------------------------------------------------

    def _collectives(self, chosen: Filter | None, page: Page, wanted: Projection) -> tuple[int, list[dict[str, Any]]]:
        store, name = self._site.store.scim_groups, self._site.name
        if chosen is None:
            rows = store.page(name, page.offset, page.limit) if page.limit else []
            return store.count(name), self._groups.listed(rows, wanted)
        lookup = chosen.lookup
        if lookup is None:
            scanned = scan(store.all(name), lambda rows: self._matching_groups(chosen, rows), page)
            return scanned.total, self._groups.listed(scanned.rows, wanted)
        matching = list(self._matching_groups(chosen, self._groups_by(lookup)))
        return len(matching), self._groups.listed(_part_of(matching, page), wanted)

    def _matching_groups(self, chosen: Filter, rows: list[ScimGroup]) -> Iterator[ScimGroup]:
        for row in rows:
            if chosen.is_only_lookups:
                if all(self._fulfils(row, one) for one in chosen.lookups):
                    yield row
            elif chosen.matches(self._groups.rendered(row, None if chosen.reads("members") else _NO_MEMBERS)):
                yield row

    def _groups_by(self, lookup: Lookup) -> list[ScimGroup]:
        store, name = self._site.store.scim_groups, self._site.name
        match lookup.attribute:
            case "id":
                found = store.by_id(name, lookup.value)
            case "displayName":
                found = store.by_display_name(name, lookup.value)
            case "externalId":
                return store.by_external_id(name, lookup.value)
            case "members":
                return store.of_member(name, lookup.value)
            case _:
                return []
        return [] if found is None else [found]

    def _fulfils(self, row: ScimGroup, lookup: Lookup) -> bool:
        """Whether a group has what is looked up; its members are asked for one, never read."""
        match lookup.attribute:
            case "id":
                return row.group_id == lookup.value
            case "displayName":
                return row.display_name.casefold() == lookup.value.casefold()
            case "externalId":
                return row.external_id == lookup.value
            case "members":
                return self._site.store.scim_groups.has_member(row.group_id, lookup.value)
            case _:
                return False


_PEOPLE_INDEXED = frozenset({"id", "userName", "externalId", "email"})
_NO_GROUPS = projection(None, "groups", Kind.USER)
_NO_MEMBERS = projection(None, "members", Kind.GROUP)


def _part_of(matching: list[Any], page: Page) -> list[Any]:
    return matching[page.offset : page.offset + page.limit]


def _canonical(user_name: str) -> str | None:
    try:
        return canonical_name(user_name)
    except InvalidName:
        return None
