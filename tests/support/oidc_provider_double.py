"""An OpenID provider in the test's process whose every answer the test can alter. It is a real HTTP server.

What it checks, it checks as a provider must: PKCE S256, the client's secret or signed statement, the redirect URI, and
that a code is used once. Who signs in is asked nobody: the authorization endpoint sends the browser back at once.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import http.client
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

TENANT = "5b1f6a2e-0c3d-4e4f-8a9b-0c1d2e3f4a5b"
OTHER_TENANT = "6c2f6a2e-0c3d-4e4f-8a9b-0c1d2e3f4a5b"
OBJECT_ID = "0f7c1f5e-1111-4222-8333-444455556666"
POLL_S = 0.005  # how long its end takes
SECRET = "s3cret: of/the+client"  # characters that the forms of a request write differently

Answer = tuple[int, dict[str, str], bytes]
Claims = dict[str, Any]


@functools.cache
def rsa_key(name: str, bits: int = 2048) -> RSAKey:
    """Give a private key, the same for the same name; its key id is the name."""
    return RSAKey.generate_key(bits, {"kid": name, "use": "sig"})


@functools.cache
def ec_key(name: str) -> ECKey:
    """Give a private key on P-256, the same for the same name; its key id is the name."""
    return ECKey.generate_key("P-256", {"kid": name, "use": "sig"})


def base64url(data: bytes) -> str:
    """Encode as tokens do, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: Claims, key: RSAKey | ECKey, algorithm: str = "RS256", **header: Any) -> str:
    """Sign claims properly; ``header`` adds members, and one that is None is left out."""
    members = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **header}
    members = {name: value for name, value in members.items() if value is not None}
    return raw_token(members, claims, lambda data: JWSRegistry.algorithms[algorithm].sign(data, key))


def raw_token(header: Claims, claims: Claims | str, sign: Callable[[bytes], bytes]) -> str:
    """Put a token together from any header and payload with any signature."""
    payload = claims if isinstance(claims, str) else json.dumps(claims)
    signed_part = f"{base64url(json.dumps(header).encode())}.{base64url(payload.encode())}"
    return f"{signed_part}.{base64url(sign(signed_part.encode()))}"


def signed_text(payload: str) -> str:
    """Sign any text properly with the key "one", as if it were claims."""
    header = {"alg": "RS256", "typ": "JWT", "kid": "one"}
    return raw_token(header, payload, lambda data: JWSRegistry.algorithms["RS256"].sign(data, rsa_key("one")))


@dataclass
class Asked:
    """What an authorization request said; kept under its code."""

    query: dict[str, str]
    used: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that go in the middle of an answer."""


@dataclass
class Provider:
    """The provider. Change any field between two requests.

    ``person`` are the claims of who signs in. ``alter`` changes the claims of an ID token; ``make`` makes the whole
    token of them in place of a proper signature. ``published`` are members of discovery to add or, with None, to leave
    out. ``answers`` are whole answers by path; they go before anything else. ``callback`` is added to the query that
    the browser brings back.
    """

    clock: Callable[[], float] = time.time
    path: str = ""
    client_id: str = "quaymaster"
    client_secret: str = SECRET
    person: Claims = field(default_factory=lambda: {"sub": "sub-of-ada", "name": "Ada"})
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [rsa_key("one")])
    algorithm: str = "RS256"
    alter: Callable[[Claims], Claims] = dict
    make: Callable[[Claims], str] | None = None
    published: Claims = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    callback: dict[str, str] = field(default_factory=dict)
    token_members: Claims = field(default_factory=dict)
    client_key: RSAKey | None = None
    groups: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    token_requests: list[dict[str, str]] = field(default_factory=list)
    token_headers: list[dict[str, str]] = field(default_factory=list)
    graph_requests: list[tuple[str, str]] = field(default_factory=list)
    _codes: dict[str, Asked] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        """The issuer, as in tokens."""
        return f"{self.origin}{self.path}"

    def close(self) -> None:
        """Stop; the port is closed afterwards, so that connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    # For tests that play the browser or make tokens ------------------------------------------------

    def browse(self, url: str) -> dict[str, str]:
        """Do what a browser does with our address: go there, and give the query of where it was sent back to."""
        status, headers, _ = self.get(url)
        assert status == 302, f"the provider answered {status}"
        return dict(parse_qsl(urlsplit(headers["location"]).query, keep_blank_values=True))

    def get(self, url: str) -> Answer:
        """Fetch an address of this provider."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"{parts.path}?{parts.query}")
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def claims(self, nonce: str, **more: Any) -> Claims:
        """Give the claims of a proper ID token; ``more`` adds to them, and what is None is left out."""
        now = int(self.clock())
        standard = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "nonce": nonce,
        }
        claims = {**standard, **self.person, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, claims: Claims) -> str:
        """Sign claims with the newest key."""
        return signed(claims, self.keys[0], self.algorithm)

    # The endpoints -----------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request."""
        parts = urlsplit(target)
        path = parts.path.removeprefix(self.path)
        with self._lock:
            self.hits[path] += 1
        if path in self.answers:
            return self.answers[path]
        query = dict(parse_qsl(parts.query))
        if method == "POST" and path.startswith("/v1.0/users/"):
            self.graph_requests.append((path, headers.get("authorization", "")))
            return _json(200, {"value": self.groups})
        routes: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/.well-known/openid-configuration"): lambda: _json(200, self.discovery()),
            ("GET", "/keys"): lambda: _json(200, {"keys": [key.as_dict(private=False) for key in self.keys]}),
            ("GET", "/authorize"): lambda: self._authorize(query),
            ("POST", "/token"): lambda: self._token(dict(parse_qsl(body.decode())), headers),
            ("GET", "/end"): lambda: _signed_out(query),
        }
        return routes.get((method, path), lambda: _json(404, {"error": "not_found"}))()

    def discovery(self) -> Claims:
        """Give the discovery document as it is published now."""
        members = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "code_challenge_methods_supported": ["S256"],
            **self.published,
        }
        return {name: value for name, value in members.items() if value is not None}

    def _authorize(self, query: dict[str, str]) -> Answer:
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = Asked(query)
        back = {"code": code, "state": query.get("state", ""), **self.callback}
        return 302, {"location": f"{query['redirect_uri']}?{urlencode(back)}"}, b""

    def _token(self, fields: dict[str, str], headers: Mapping[str, str]) -> Answer:
        self.token_requests.append(fields)
        self.token_headers.append(dict(headers))
        if not self._is_our_client(fields, headers):
            return _json(401, {"error": "invalid_client"})
        if fields.get("grant_type") == "client_credentials":
            return _json(200, {"access_token": "for-graph", "token_type": "Bearer", "expires_in": 3600})
        with self._lock:
            asked = self._codes.get(fields.get("code", ""))
            if asked is None or asked.used:
                return _json(400, {"error": "invalid_grant", "error_description": "the code is unknown or was used"})
            asked.used = True
        verifier = fields.get("code_verifier", "")
        challenge = base64url(hashlib.sha256(verifier.encode()).digest())
        if asked.query.get("code_challenge_method") != "S256" or asked.query.get("code_challenge") != challenge:
            return _json(400, {"error": "invalid_grant", "error_description": "the verifier does not fit"})
        if fields.get("redirect_uri") != asked.query["redirect_uri"]:
            return _json(400, {"error": "invalid_grant", "error_description": "another redirect_uri"})
        claims = self.alter(self.claims(asked.query.get("nonce", "")))
        token = self.token(claims) if self.make is None else self.make(claims)
        members = {"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": token}
        return _json(200, {k: v for k, v in {**members, **self.token_members}.items() if v is not None})

    def _is_our_client(self, fields: dict[str, str], headers: Mapping[str, str]) -> bool:
        if self.client_key is not None:
            return self._is_statement(fields.get("client_assertion", ""))
        kind, _, pair = headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(pair).decode().partition(":")
            return (unquote_plus(name), unquote_plus(secret)) == (self.client_id, self.client_secret)
        return (fields.get("client_id"), fields.get("client_secret")) == (self.client_id, self.client_secret)

    def _is_statement(self, statement: str) -> bool:
        if self.client_key is None:
            return False
        try:
            claims = jwt.decode(statement, self.client_key, algorithms=["RS256", "PS256"]).claims
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is no proof
            return False
        ours = claims["iss"] == claims["sub"] == self.client_id and claims["aud"] == f"{self.issuer}/token"
        return ours and bool(claims["jti"]) and claims["exp"] > self.clock()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, sent, content = provider.answer(self.command, self.path, headers, body)
                self.send_response(status)
                for name, value in sent.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _any  # noqa: N815 - names that http.server looks for

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler


def _signed_out(query: dict[str, str]) -> Answer:
    state = {"state": query["state"]} if "state" in query else {}
    return 302, {"location": f"{query['post_logout_redirect_uri']}?{urlencode(state)}"}, b""


def _json(status: int, document: object) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(document).encode()


def entra_person(**more: Any) -> Claims:
    """Give the claims of somebody of the tenant, as Entra ID's v2.0 tokens have them."""
    standard: Claims = {
        "sub": "pairwise-sub",
        "oid": OBJECT_ID,
        "tid": TENANT,
        "preferred_username": "ada@example.org",
        "name": "Ada",
        "email": "ada@example.org",
        "ver": "2.0",
        "uti": "uti-1",
        "sid": "sid-1",
    }
    return {name: value for name, value in {**standard, **more}.items() if value is not None}
