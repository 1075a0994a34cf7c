"""SCIM without HTTP: one request of one provider's client in, one answer out. RFC 7643, RFC 7644."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from config.sso import SsoProvider
from server.http.scim import discovery
from server.http.scim.attributes import Kind
from server.http.scim.errors import ScimError
from server.http.scim.groups import GroupVerbs
from server.http.scim.queries.projection import projection
from server.http.scim.queries.searching import KINDS, Query, Search
from server.http.scim.requests import ScimAnswer, ScimRequest, refusal
from server.http.scim.site import HELD_RETRY_S, EndHeld, ProviderSite
from server.http.scim.users import UserVerbs
from storage.database.store import Store, StoreError, StoreUnavailable

log = structlog.get_logger(__name__)

COLLECTIONS = {"Users": Kind.USER, "Groups": Kind.GROUP}
SEARCH = ".search"
UNAVAILABLE_RETRY_S = 5
_DISCOVERY = frozenset({"ServiceProviderConfig", "ResourceTypes", "Schemas"})
_NOT_OFFERED = frozenset({"Me", "Bulk"})  # RFC 7644 sections 3.7 and 3.11


class ScimService:
    """Answers the client of one provider; thread-safe and blocking."""

    def __init__(
        self,
        store: Store,
        name: str,
        provider: SsoProvider,
        base_url: str,
        *,
        token_id: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        site = ProviderSite(store, name, provider, base_url, clock, token_id)
        self._base = base_url
        self._users = UserVerbs(site)
        self._groups = GroupVerbs(site)
        self._search = Search(site)

    def answer(self, request: ScimRequest) -> ScimAnswer:
        """Give the answer to a request; every refusal and failure is one, too."""
        try:
            return self._answer(request)
        except ScimError as error:
            return refusal(error, _headers_of(error))
        except StoreError as error:
            return _of_store(error)
        except Exception:
            log.exception("scim.request_failed", method=request.method)
            return refusal(ScimError(500, "The request could not be served; the server's log says why."))

    def _answer(self, request: ScimRequest) -> ScimAnswer:
        parts = request.segments()
        _check_parameters(
            request, COLLECTIONS.get(parts[0])
        )  # a request that is refused must not have been carried out
        match parts:
            case [""]:
                _allow(request, "GET")
                return self._search.answer(KINDS, Query.of_parameters(request.parameters()))
            case [".search"]:
                _allow(request, "POST")
                return self._search.answer(KINDS, Query.of_body(request.json()))
            case [collection] if collection in COLLECTIONS:
                return self._collection(request, COLLECTIONS[collection])
            case [collection, ".search"] if collection in COLLECTIONS:
                _allow(request, "POST")
                return self._search.answer([COLLECTIONS[collection]], Query.of_body(request.json()))
            case [collection, resource_id] if collection in COLLECTIONS:
                return self._resource(request, COLLECTIONS[collection], resource_id)
            case [name, *rest] if name in _DISCOVERY and len(rest) <= 1:
                _allow(request, "GET")
                return self._discovered(request, name, rest)
            case [name, *_] if name in _NOT_OFFERED:
                raise ScimError(501, f"/{name} is not offered, see /ServiceProviderConfig.")
            case _:
                raise ScimError(404, "There is nothing here.")

    def _collection(self, request: ScimRequest, kind: Kind) -> ScimAnswer:
        _allow(request, "GET", "POST")
        if request.method == "POST":
            return (self._users if kind is Kind.USER else self._groups).create(request)
        return self._search.answer([kind], Query.of_parameters(request.parameters()))

    def _resource(self, request: ScimRequest, kind: Kind, resource_id: str) -> ScimAnswer:
        _allow(request, "GET", "PUT", "PATCH", "DELETE")
        verbs = self._users if kind is Kind.USER else self._groups
        verb = {"GET": verbs.read, "PUT": verbs.replace, "PATCH": verbs.patch, "DELETE": verbs.delete}[request.method]
        return verb(request, resource_id)

    def _discovered(self, request: ScimRequest, name: str, rest: list[str]) -> ScimAnswer:
        discovery.refuse_filter(request.parameters())
        match name, rest:
            case "ServiceProviderConfig", []:
                return ScimAnswer(200, discovery.service_provider_config(self._base))
            case "ResourceTypes", []:
                return ScimAnswer(200, discovery.resource_types(self._base))
            case "ResourceTypes", [wanted]:
                return ScimAnswer(200, discovery.resource_type(self._base, wanted))
            case "Schemas", []:
                return ScimAnswer(200, discovery.schemas(self._base))
            case "Schemas", [wanted]:
                return ScimAnswer(200, discovery.schema(self._base, wanted))
            case _:
                raise ScimError(404, "There is nothing here.")


def _check_parameters(request: ScimRequest, kind: Kind | None) -> None:
    """Refuse parameters that cannot be read before anything is done. Raises ScimError."""
    parameters = request.parameters()
    if kind is not None:
        projection(parameters.get("attributes"), parameters.get("excludedattributes"), kind)


class MethodNotServed(ScimError):
    """The path serves other methods: 405 with ``Allow``."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(405, f"Served here: {', '.join(allowed)}.")
        self.allowed = allowed


def _allow(request: ScimRequest, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotServed(methods)


def _headers_of(error: ScimError) -> dict[str, str]:
    match error:
        case MethodNotServed(allowed=allowed):
            return {"Allow": ", ".join(allowed)}
        case EndHeld():
            return {"Retry-After": str(HELD_RETRY_S)}
        case _:
            return {}


def _of_store(error: StoreError) -> ScimAnswer:
    """Tell a client of what the store refused outside of a change, which speaks for itself."""
    if isinstance(error, StoreUnavailable):
        log.warning("scim.store_unreachable", error=str(error))
        unavailable = ScimError(503, "The user store does not answer; try again.")
        return refusal(unavailable, {"Retry-After": str(UNAVAILABLE_RETRY_S)})
    log.warning("scim.store_refused", error=str(error))
    return refusal(ScimError(409, error.message, "uniqueness"))
