"""A browser as far as sign-in needs one: cookies, redirects by hand, and forms, against a running server."""

from __future__ import annotations

import base64
import re
import ssl
import time
import zlib
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import httpx

from auth_backends.saml.documents import parsed
from tests.support.saml_signer import EntraSigner
from tests.support.server import QuaymasterServer

FORM = re.compile(r'name="form" value="([0-9a-f]{64})"')


class SsoBrowser:
    """One browser with cookies of its own, at an address of this machine. Nothing is followed unless it is said."""

    def __init__(self, server: QuaymasterServer, *, address: str = "127.0.0.1") -> None:
        self.server = server
        self.origin = f"https://localhost:{server.http_port}"
        trusted = ssl.create_default_context(cafile=str(server.data / "keys" / "tls.pem"))
        way = httpx.HTTPTransport(verify=trusted, trust_env=False, local_address=address)
        self.client = httpx.Client(base_url=self.origin, transport=way, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def get(self, path: str) -> httpx.Response:
        """Ask for a page."""
        return self.client.get(path)

    def post(self, path: str, fields: dict[str, str], *, origin: str | None = None) -> httpx.Response:
        """Post a form, as from a page of ours unless another origin is said."""
        headers = {"Origin": self.origin if origin is None else origin}
        return self.client.post(path, data=fields, headers=headers)

    def start(self, provider: str, return_to: str = "/account") -> dict[str, str]:
        """Begin a sign-in, and give the query that the provider gets."""
        answer = self.client.get(f"/sso/{provider}/start", params={"return_to": return_to})
        assert answer.status_code == 303, answer.text
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def form(self, path: str) -> str:
        """The hidden token of the form on a page."""
        found = FORM.search(self.get(path).text)
        assert found is not None
        return found[1]

    def sign_in(self, name: str, password: str) -> None:
        """Sign in with a password."""
        answer = self.post("/sign-in", {"form": self.form("/sign-in"), "name": name, "password": password})
        assert answer.status_code == 303, answer.text

    def name(self) -> str | None:
        """Who is signed in, by the account page."""
        found = re.search(r'id="login">([^<]*)<', self.get("/account").text)
        return None if found is None else found[1]


def saml_request_id(query: dict[str, str]) -> str:
    """The ID of the SAML request that a browser was sent away with."""
    xml = zlib.decompress(base64.b64decode(query["SAMLRequest"]), wbits=-15)
    return str(parsed(xml).get("ID"))


def saml_answer(signer: EntraSigner, query: dict[str, str], **fields: Any) -> dict[str, str]:
    """The form that a SAML provider's page posts in answer to a request."""
    response = signer.response(saml_request_id(query), time.time(), **fields)
    return {"SAMLResponse": response, "RelayState": query["RelayState"]}
