"""A SCIM client for the tests: one provider of a running server, and requests as an identity provider sends them."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from auth_backends.scim_clients import issue
from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.http.scim.recordings.sequences import PlayedAnswer, PlayedRequest
from server.providers import put_provider
from storage.database.scim_changes import AddScimToken
from storage.database.store import Store
from tests.support.server import QuaymasterServer

YEAR_S = 365 * 86_400.0
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; ``body`` is None where there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def id(self) -> str:
        """The resource's id."""
        return str(self.body["id"])


def add_provider(store: Store, name: str, **options: Any) -> None:
    """Set up an identity provider, or change the one that is there."""
    store.apply(put_provider(name, SsoProvider(method=SsoMethod.SAML, **options), Settings()), actor="test")


def issue_token(
    store: Store, provider: str, *, kind: str = "bearer", expires_at: float | None = None
) -> tuple[str, str]:
    """Give a provider's client a token: its id and its text."""
    issued = issue()
    end = time.time() + YEAR_S if expires_at is None else expires_at
    store.apply(AddScimToken(provider, issued.id, kind, issued.digest, expires_at=end), actor="test")
    return issued.id, issued.token.reveal()


@dataclass
class ScimHttp:
    """A client on one kept connection; a context manager."""

    server: QuaymasterServer
    token: str
    provider: str | None = None
    agent: str = "quaymaster-test"
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=str(self.server.certificate))
        self._connection = http.client.HTTPSConnection("127.0.0.1", self.server.http_port, context=context, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @property
    def root(self) -> str:
        """The path that ``/Users`` follows."""
        return f"/scim/v2/{self.provider}" if self.provider else "/scim/v2"

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send one request and give the answer."""
        text = raw if raw is not None else None if body is None else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.token}", "User-Agent": self.agent, **self.headers}
        if text is not None:
            given["Content-Type"] = "application/scim+json"
        self._connection.request(method, self.root + path, text, {**given, **(headers or {})})
        response = self._connection.getresponse()
        answer = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, json.loads(answer) if answer else None)

    def find(self, text: str, path: str = "/Users") -> Answer:
        """List with a filter."""
        return self.send("GET", f"{path}?filter={quote(text)}")

    def create(self, user_name: str, **attributes: Any) -> Answer:
        """Make a user."""
        schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"]
        return self.send("POST", "/Users", {"schemas": schemas, "userName": user_name, "active": True, **attributes})

    def patch(self, path: str, *operations: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
        """Change a resource."""
        return self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}, headers)

    def play(self, request: PlayedRequest) -> PlayedAnswer:
        """Send one request of a recorded sequence."""
        answer = self.send(request.method, request.path, request.body, dict(request.headers))
        return PlayedAnswer(answer.status, answer.headers, answer.body)
