"""WebDAV by http.client."""

from __future__ import annotations

import http.client
import ssl
import urllib.parse
from base64 import b64encode
from http import HTTPStatus
from xml.etree import ElementTree as ET

from tests.support.drivers.api import Closing, Credential, Ports, Refusal, RefusalKind

KINDS = {
    HTTPStatus.UNAUTHORIZED: RefusalKind.SIGN_IN,
    HTTPStatus.SERVICE_UNAVAILABLE: RefusalKind.TEMPORARY,
    HTTPStatus.NOT_FOUND: RefusalKind.MISSING,
    HTTPStatus.CONFLICT: RefusalKind.MISSING,  # RFC 4918 9.3.1, 9.7.1: an ancestor is missing
    HTTPStatus.FORBIDDEN: RefusalKind.DENIED,
    HTTPStatus.METHOD_NOT_ALLOWED: RefusalKind.EXISTS,  # RFC 4918 9.3.1: MKCOL on something that is there
    HTTPStatus.PRECONDITION_FAILED: RefusalKind.EXISTS,
    HTTPStatus.INSUFFICIENT_STORAGE: RefusalKind.NO_SPACE,
    HTTPStatus.BAD_REQUEST: RefusalKind.BAD_NAME,
}


class WebdavDriver(Closing):
    """One kept-alive HTTPS connection with Basic credentials on every request."""

    front_end = "webdav"

    def __init__(self, ports: Ports, credential: Credential) -> None:
        if credential.private_key is not None:
            raise Refusal(RefusalKind.SIGN_IN, "WebDAV has no key sign-in")
        context = ssl.create_default_context(cafile=str(ports.certificate))
        self._connection = http.client.HTTPSConnection("localhost", ports.http, context=context, timeout=30)
        token = b64encode(f"{credential.user}:{credential.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}
        try:
            self.request("PROPFIND", "/", headers={"Depth": "0"})
        except Refusal as refusal:
            if refusal.kind in {RefusalKind.SIGN_IN, RefusalKind.TEMPORARY}:
                self._connection.close()
                raise

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        """Send one request and give the answer's body; a status of 400 or more is a Refusal."""
        url = "/dav" + urllib.parse.quote(path)
        try:
            self._connection.request(method, url, body=body, headers=self._headers | (headers or {}))
            answer = self._connection.getresponse()
            content = answer.read()
        except OSError:  # it answered and hung up while the body was on its way; the next request opens a new one
            self._connection.close()
            raise
        if answer.status >= HTTPStatus.BAD_REQUEST:
            kind = KINDS.get(HTTPStatus(answer.status), RefusalKind.FAILED)
            raise Refusal(kind, f"{answer.status} {content[:200]!r}")
        return content

    def write(self, path: str, data: bytes) -> None:
        """Upload a whole file, replacing what is there."""
        self.request("PUT", path, body=data)

    def read(self, path: str) -> bytes:
        """Download a whole file."""
        return self.request("GET", path)

    def _propfind(self, path: str, depth: int) -> list[ET.Element]:
        content = self.request("PROPFIND", path, headers={"Depth": str(depth)})
        return ET.fromstring(content).findall("{DAV:}response")  # noqa: S314 - our own server's answer

    def names(self, path: str) -> set[str]:
        """List a directory."""
        found = set()
        for response in self._propfind(path.rstrip("/") + "/", 1):
            href = urllib.parse.unquote(response.findtext("{DAV:}href") or "").removeprefix("/dav")
            name = href.rstrip("/").removeprefix(path.rstrip("/")).strip("/")
            if name:
                found.add(name)
        return found

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        (response,) = self._propfind(path, 0)
        return int(next(response.iter("{DAV:}getcontentlength")).text or "0")

    def mkdir(self, path: str) -> None:
        """Make a directory."""
        self.request("MKCOL", path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.request("DELETE", path)

    def rmdir(self, path: str) -> None:
        """Remove a directory."""
        self.request("DELETE", path.rstrip("/") + "/")

    def rename(self, source: str, target: str) -> None:
        """Move a file or directory to a free name."""
        self.request("MOVE", source, headers={"Destination": "/dav" + urllib.parse.quote(target), "Overwrite": "F"})

    def close(self) -> None:
        """Sign out."""
        self._connection.close()
