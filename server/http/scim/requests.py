"""A request to SCIM and its answer, without HTTP around them: what a client said, as far as it counts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from server.http.scim.errors import ScimError

MAX_PARAMETERS = 50
MAX_ID = 128
SCIM_JSON = "application/scim+json"
_BODY_TYPES = frozenset({SCIM_JSON, "application/json", ""})
_ETAG = re.compile(r'(?:W/)?"([^"]*)"')
_UTF8 = frozenset({"", "utf-8", "utf8"})


@dataclass(frozen=True, slots=True)
class ScimRequest:
    """``path`` is what follows ``/scim/v2`` and the provider's name; header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def segments(self) -> list[str]:
        """Give the path's parts, decoded. Raises ScimError for what cannot be a path."""
        parts = [unquote(part, errors="surrogateescape") for part in self.path.strip("/").split("/")]
        if any(len(part) > MAX_ID * 4 or not part.isprintable() for part in parts):
            raise ScimError(404, "There is nothing here.")
        return parts

    def parameters(self) -> dict[str, str]:
        """Give the query's parameters by their names in lower case; of several the first counts. Raises ScimError."""
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise ScimError(400, "The query cannot be read.", "invalidSyntax") from None
        found: dict[str, str] = {}
        for name, value in pairs:
            found.setdefault(name.lower(), value)
        return found

    def json(self) -> object:
        """Give the body as JSON. Raises ScimError for another type, charset or syntax, and for a name that is twice."""
        kind, _, parameters = self.headers.get("content-type", "").partition(";")
        if kind.strip().lower() not in _BODY_TYPES:
            raise ScimError(415, f"A body is {SCIM_JSON} or application/json.")
        charset = dict(pair.strip().lower().partition("=")[::2] for pair in parameters.split(";")).get("charset", "")
        if charset.strip('"') not in _UTF8:
            raise ScimError(415, "A body is in UTF-8.")
        try:
            return json.loads(self.body.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
        except ScimError:
            raise
        except (ValueError, RecursionError):
            raise ScimError(400, "The body is no JSON.", "invalidSyntax") from None

    def expected_versions(self) -> frozenset[str] | None:
        """Give the versions of If-Match; None if any will do (RFC 7644 section 3.14, RFC 9110 section 13.1.1)."""
        return _versions(self.headers.get("if-match"))

    def known_versions(self) -> frozenset[str] | None:
        """Give the versions of If-None-Match that the client has; None if it has none."""
        return _versions(self.headers.get("if-none-match"))


@dataclass(frozen=True, slots=True)
class ScimAnswer:
    """``body`` is JSON, or None for none. ``subject`` and ``changed`` are for the provisioning log."""

    status: int
    body: dict[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    changed: Mapping[str, object] = field(default_factory=dict)


def refusal(error: ScimError, headers: Mapping[str, str] | None = None, subject: str = "") -> ScimAnswer:
    """Give the answer that tells a client of an error."""
    return ScimAnswer(error.status, error.body(), headers or {}, subject)


def _versions(header: str | None) -> frozenset[str] | None:
    """Read a list of entity tags; what is none matches nothing, and ``*`` everything."""
    if header is None or header.strip() == "*":
        return None
    return frozenset(found[1] for part in header.split(",") if (found := _ETAG.fullmatch(part.strip())))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # which of the two would count is anybody's guess
        raise ScimError(400, "An object names the same member twice.", "invalidSyntax")
    return found


def _no_constant(_name: str) -> None:
    raise ValueError
