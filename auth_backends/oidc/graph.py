"""Microsoft Graph's list of a person's groups, for who has too many for a token (Graph API, "getMemberObjects")."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

import structlog

from auth_backends.api import Secret
from auth_backends.oidc.client import OidcClient
from auth_backends.oidc.discovery import Discovery
from auth_backends.oidc.documents import json_object
from auth_backends.oidc.token_endpoint import token_request
from auth_backends.outgoing import Fetcher, FetchFailed
from auth_backends.sso import SsoReason, SsoRefused

GRAPH = "https://graph.microsoft.com"
MAX_ANSWER = 1024 * 1024
_OK = 200
_UNAUTHORIZED = 401
_EARLY_S = 120.0

log = structlog.get_logger(__name__)


class GraphGroups:
    """Asks Graph with a token of our own application (it needs the permission GroupMember.Read.All); thread-safe.

    The address is made of the person's object id alone: the one that a token names is never asked.
    """

    def __init__(
        self, client: OidcClient, fetcher: Fetcher, clock: Callable[[], float], *, base_url: str = GRAPH
    ) -> None:
        self._client = client
        self._fetcher = fetcher
        self._clock = clock
        self._base_url = base_url
        self._lock = threading.Lock()
        self._token: Secret | None = None
        self._token_until = float("-inf")

    def groups(self, discovery: Discovery, object_id: str) -> frozenset[str] | None:
        """Give the object ids of all groups of a person, nested ones too; None if anything stood in the way."""
        try:
            return self._groups(discovery, str(UUID(object_id)))
        except ValueError:
            return None
        except (SsoRefused, FetchFailed) as failed:
            log.warning("sso.graph_failed", detail=str(failed))
            return None

    def _groups(self, discovery: Discovery, object_id: str) -> frozenset[str]:
        answer = self._fetcher.post_json(
            f"{self._base_url}/v1.0/users/{object_id}/getMemberObjects",
            {"securityEnabledOnly": True},
            headers={"authorization": f"Bearer {self._own_token(discovery).reveal()}"},
            max_bytes=MAX_ANSWER,
        )
        if answer.status != _OK:
            if answer.status == _UNAUTHORIZED:
                self._forget()
            raise FetchFailed(f"Graph answered {answer.status}; the application needs GroupMember.Read.All")
        document = json_object(answer.body, "Graph's answer")
        listed = document.get("value")
        whole = isinstance(listed, list) and all(isinstance(one, str) and one for one in listed)
        if not isinstance(listed, list) or not whole or "@odata.nextLink" in document:
            raise FetchFailed("Graph did not give one whole list of groups")  # part of a list would take groups away
        return frozenset(listed)

    def _own_token(self, discovery: Discovery) -> Secret:
        with self._lock:
            if self._token is not None and self._clock() < self._token_until:
                return self._token
        fields = {"grant_type": "client_credentials", "scope": f"{GRAPH}/.default"}
        now = self._clock()
        answer = token_request(self._client, discovery, self._fetcher, fields, now)
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(lifetime, int):
            raise SsoRefused(SsoReason.MALFORMED, "the token endpoint gave no access token for Graph")
        with self._lock:
            self._token, self._token_until = Secret(token), now + lifetime - _EARLY_S
            return self._token

    def _forget(self) -> None:
        with self._lock:
            self._token = None
