"""The WebDAV handlers over memory filesystems and a real store, without a network: one call per request."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from server.webdav.dav_server import DavApplication, error_page
from server.webdav.environ import environ_of
from server.webdav.errors import dav_error
from server.webdav.request import DavRequest
from server.webdav.turns import Turns
from server.webdav.uploads import begin
from server.webdav.urls import path_of
from storage.database.store import Store
from storage.files.api import WriteMode
from storage.files.memory import MemoryFilesystem
from storage.files.mounts import Mount, MountTable, Rule
from storage.files.path import VirtualPath
from storage.files.permissions import PRESETS
from storage.files.quota import Quota
from storage.files.workspace import Workspace

DAV = "{DAV:}"


@dataclass(frozen=True, slots=True)
class Response:
    """What a client would get."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def xml(self) -> ET.Element:
        """The body as XML."""
        return ET.fromstring(self.body)  # noqa: S314 - our own answer

    def statuses(self) -> dict[str, int]:
        """The status of each href of a multi-status answer."""
        return {
            (response.findtext(f"{DAV}href") or ""): int((response.findtext(f"{DAV}status") or "0 0").split()[1])
            for response in self.xml
        }

    def properties(self, href: str) -> dict[str, ET.Element]:
        """The properties found on one href of a PROPFIND answer."""
        found: dict[str, ET.Element] = {}
        for response in self.xml:
            if response.findtext(f"{DAV}href") != href:
                continue
            for propstat in response.findall(f"{DAV}propstat"):
                if " 200 " in (propstat.findtext(f"{DAV}status") or ""):
                    found |= {element.tag: element for element in propstat.find(f"{DAV}prop") or ()}
        return found

    def hrefs(self) -> list[str]:
        """All hrefs of a multi-status answer."""
        return [response.findtext(f"{DAV}href") or "" for response in self.xml]


class DavUser:
    """One signed-in user: a home of their own and the shared folder at /shared."""

    def __init__(self, store: Store, name: str, shared: MemoryFilesystem, *, preset: str = "full", quota: int = 0):
        self.home = MemoryFilesystem()
        self.name = name
        self.store = store
        mounts = [
            Mount(VirtualPath(), self.home, f"home:{name}", Quota(quota, lambda: 0) if quota else None),
            Mount(VirtualPath(("shared",)), shared, "folder:shared"),
        ]
        rules = [Rule(VirtualPath(), PRESETS[preset], frozenset())]
        self.workspace = Workspace(MountTable(mounts, rules))
        self.turns = _turns()[0]
        self._application = DavApplication(store.locks)

    def request(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: str | bytes = b"",
        meanwhile: Callable[[], object] | None = None,
    ) -> Response:
        """Serve one request; ``path`` is the encoded path below /dav. ``meanwhile`` runs during an upload."""
        raw = body.encode() if isinstance(body, str) else body
        scope: dict[str, object] = {
            "method": method,
            "scheme": "https",
            "http_version": "1.1",
            "headers": [
                (b"host", b"files.example"),
                *((name.lower().encode(), value.encode()) for name, value in (headers or {}).items()),
            ],
        }
        request = DavRequest(
            self.workspace,
            path_of(f"/dav{path}".encode()),
            self.name,
            self.store.locks,
            self.store.properties,
            self.turns,
        )
        if method == "PUT":
            return self._put(request, scope, raw, meanwhile)
        answers: list[tuple[str, list[tuple[str, str]]]] = []
        pieces = self._application(environ_of(scope, request, raw), lambda *given: answers.append(given))
        page = b"".join(pieces)
        status, given = answers[0]
        return Response(int(status.split()[0]), {name.lower(): value for name, value in given}, page)

    def _put(
        self, request: DavRequest, scope: dict[str, object], raw: bytes, meanwhile: Callable[[], object] | None
    ) -> Response:
        environ = environ_of(scope, request)
        try:
            put = begin(request, environ, len(raw))
            try:
                put.write(raw)
                if meanwhile is not None:
                    meanwhile()
                status, given = put.finish()
            finally:
                put.abort()
        except Exception as error:  # noqa: BLE001 - as the endpoint does
            answers: list[tuple[str, list[tuple[str, str]]]] = []
            page = b"".join(error_page(dav_error(error), "PUT", lambda *given: answers.append(given)))
            code, given = answers[0]
            return Response(int(code.split()[0]), {name.lower(): value for name, value in given}, page)
        return Response(status, {name.lower(): value for name, value in given}, b"")

    def put(self, path: str, data: bytes) -> None:
        """Put a file there by the storage's own way."""
        with self.workspace.open_writer(VirtualPath.parse(path), WriteMode.REPLACE) as upload:
            upload.write_at(0, data)
            upload.commit()

    def get(self, path: str) -> bytes:
        """Read a file by the storage's own way."""
        with self.workspace.open_reader(VirtualPath.parse(path)) as reader:
            return reader.read_at(0, reader.size)

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        return self.workspace.exists(VirtualPath.parse(path))

    def names(self, path: str) -> set[str]:
        """Names in a directory."""
        return {entry.name for entry in self.workspace.scan(VirtualPath.parse(path))}

    def mkdir(self, path: str) -> None:
        """Make a directory by the storage's own way."""
        self.workspace.mkdir(VirtualPath.parse(path))

    def lock(
        self, path: str, *, scope: str = "exclusive", depth: str = "0", headers: dict[str, str] | None = None
    ) -> str:
        """Take a lock and give its token."""
        response = self.request("LOCK", path, {"Depth": depth, **(headers or {})}, lock_body(scope))
        assert response.status in {200, 201}, response
        return response.headers["lock-token"].strip("<>")


@cache
def _turns() -> tuple[Turns, tempfile.TemporaryDirectory[str]]:
    """The turns of a machine, with the folder that goes with them: the many files are made once for all tests."""
    folder = tempfile.TemporaryDirectory(prefix="quaymaster-test-")
    return Turns(Path(folder.name)), folder


def lock_body(scope: str = "exclusive") -> str:
    """The body of a LOCK."""
    return (
        f'<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
        "<D:locktype><D:write/></D:locktype><D:owner><D:href>mailto:someone</D:href></D:owner></D:lockinfo>"
    )


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Site:
    """Two users, and the folder that they share."""

    anna: DavUser
    ben: DavUser


@pytest.fixture
def site(sqlite_store: Store) -> Site:
    """Two users with empty homes and one shared folder."""
    shared = MemoryFilesystem()
    return Site(DavUser(sqlite_store, "anna", shared), DavUser(sqlite_store, "ben", shared))
