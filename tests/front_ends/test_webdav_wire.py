"""WebDAV on the wire: truncated uploads, refusals before the body, hostile paths, sessions and their cuts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import subprocess
import time
from itertools import count
from pathlib import Path

import pytest

from storage.database.changes import SetStatus
from storage.database.records import Status
from storage.files.path import TEMP_PREFIX
from tests.support.dav_site import basic, lock_body
from tests.support.raw_http import Answer, RawHttps
from tests.support.server import QuaymasterServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PASSWORD = "wire-password"
_numbers = count()


class Wire:
    """One user of the running server, and raw connections in their name."""

    def __init__(self, server: QuaymasterServer) -> None:
        self.server = server
        self.name = f"wire{next(_numbers)}-{time.time_ns():x}"
        self.user = server.add_user(self.name, password=PASSWORD)
        self.auth = {"Authorization": basic(self.name, PASSWORD)}

    def connect(self) -> RawHttps:
        return RawHttps(self.server.http_port, self.server.certificate)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        with self.connect() as client:
            return client.ask(method, path, self.auth | (headers or {}), body)

    def uploading(self) -> bool:
        """Whether a temporary file is in the home."""
        home = self.server.home_of(self.name)
        return home.is_dir() and any(path.name.startswith(TEMP_PREFIX) for path in home.iterdir())

    def names(self) -> set[str]:
        """Names in the home."""
        home = self.server.home_of(self.name)
        return {path.name for path in home.iterdir()} if home.is_dir() else set()

    def live_sessions(self) -> int:
        return sum(row.user_id == self.user.id for row in self.server.store.sessions.live())


@pytest.fixture
def wire(server: QuaymasterServer) -> Wire:
    """A fresh user."""
    return Wire(server)


HEADS = {
    "content-length": ({"Content-Length": "100000"}, b"x" * 5000),
    "chunked between chunks": ({"Transfer-Encoding": "chunked"}, b"1388\r\n" + b"x" * 5000 + b"\r\n"),
    "chunked within a chunk": ({"Transfer-Encoding": "chunked"}, b"2000\r\n" + b"x" * 5000),
    "chunked with a bad size": ({"Transfer-Encoding": "chunked"}, b"5\r\nabcde\r\nZZ\r\n"),
    "finder": ({"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": "100000"}, b"5\r\nabcde\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("ending", ["goodbye", "reset"])
@pytest.mark.parametrize("kind", sorted(HEADS))
@pytest.mark.parametrize("old", [None, b"old content"])
def test_a_truncated_upload_changes_nothing_and_is_never_a_success(
    wire: Wire, old: bytes | None, kind: str, ending: str
) -> None:
    """Every HTTP server with WsgiDAV but one kept the part that came, and most reported 201."""
    if old is not None:
        assert wire.ask("PUT", "/dav/file", body=old).status == 201
    headers, sent = HEADS[kind]
    client = wire.connect()
    client.begin("PUT", "/dav/file", wire.auth | headers)
    client.send(sent)
    if kind not in {"finder", "chunked with a bad size"}:  # these end by themselves
        eventually(wire.uploading, what="the upload to begin")
    if ending == "goodbye":
        with contextlib.suppress(OSError):
            client.socket.unwrap()
    client.vanish()

    eventually(lambda: not wire.uploading(), what="the temporary file to go")
    got = wire.ask("GET", "/dav/file")
    assert (404 if old is None else 200) == got.status
    assert old is None or old == got.body


def test_a_body_shorter_than_finder_promised_is_refused(wire: Wire) -> None:
    """The chunked body ends well but lacks bytes: 400, and no file."""
    with wire.connect() as client:
        headers, sent = HEADS["finder"]
        client.begin("PUT", "/dav/file", wire.auth | headers)
        client.send(sent)
        assert client.answer().status == 400

    assert wire.ask("GET", "/dav/file").status == 404


def test_chunked_and_counted_uploads_arrive_whole(wire: Wire) -> None:
    """Several megabytes in odd pieces, an empty file, and Finder's promise kept."""
    data = bytes(range(251)) * 20_000
    assert wire.ask("PUT", "/dav/counted", body=data).status == 201
    with wire.connect() as client:
        headers = {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": str(len(data))}
        client.begin("PUT", "/dav/chunked", wire.auth | headers)
        for start in range(0, len(data), 77_777):
            piece = data[start : start + 77_777]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        client.send(b"0\r\n\r\n")
        assert client.answer().status == 201
    assert wire.ask("PUT", "/dav/empty").status == 201

    digests = [hashlib.sha256(wire.ask("GET", f"/dav/{name}").body).digest() for name in ("counted", "chunked")]
    assert [hashlib.sha256(data).digest()] * 2 == digests
    assert wire.ask("GET", "/dav/empty").body == b""


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/dav/none/file", {}, 409),
        ("/dav/", {}, 405),
        ("/dav/x", {"If-Match": '"unknown"'}, 412),
        ("/dav/x", {"Authorization": basic("nobody", "wrong")}, 401),
        ("/dav/x", {"Content-Encoding": "gzip"}, 415),
        ("/dav/a%2fx", {}, 400),
    ],
)
def test_a_refusal_comes_before_the_body(wire: Wire, path: str, headers: dict[str, str], status: int) -> None:
    """Whoever sends Expect: 100-continue is spared the upload."""
    with wire.connect() as client:
        client.begin("PUT", path, wire.auth | {"Expect": "100-continue", "Content-Length": "1000000"} | headers)
        assert status == client.answer().status


def test_the_body_is_asked_for_once_all_else_holds(wire: Wire) -> None:
    """100 Continue, then 201."""
    with wire.connect() as client:
        client.begin("PUT", "/dav/x", wire.auth | {"Expect": "100-continue", "Content-Length": "3"})
        assert client.answer().status == 100
        client.send(b"abc")
        assert client.answer().status == 201


@pytest.mark.parametrize("method", ["PROPFIND", "PROPPATCH", "LOCK", "MKCOL", "GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_refused_unread(wire: Wire, method: str, *, chunked: bool) -> None:
    """413 above 256 KiB for everything but PUT."""
    with wire.connect() as client:
        length = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "9000000"}
        client.begin(method, "/dav/", wire.auth | length)
        if chunked:
            client.send(b"80000\r\n" + b"x" * 0x80000 + b"\r\n")
        assert client.answer().status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/dav/../etc/passwd",
        "/dav/%2e%2e/%2e%2e/etc/passwd",
        "/dav/..%2f..%2fetc/passwd",
        "/dav/a%2f..%2f..%2fetc%2fpasswd",
        "/dav/%00",
        "/dav/a%0d%0aSet-Cookie:x",
        "/dav/%ff",
        "/dav/.%2e/x",
        "//dav/../x",
        "/dav//etc/passwd/..%5c",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PROPFIND", "PUT", "DELETE", "MKCOL"])
def test_hostile_paths_reach_nothing(wire: Wire, method: str, path: str) -> None:
    """Refused, or a plain name inside the home; never a file of the host."""
    answer = wire.ask(method, path, {"Depth": "0"} if method == "PROPFIND" else None)

    assert answer.status in {201, 400, 404, 405, 409}
    assert b"root:" not in answer.body
    assert wire.names() <= {"x"}


@pytest.mark.parametrize("header", ["https://localhost/dav/a%2fb", "/dav/%00", "/elsewhere", "/dav/%ff"])
def test_hostile_destinations_are_refused(wire: Wire, header: str) -> None:
    """The second path of a request obeys the same rules."""
    wire.ask("PUT", "/dav/x", body=b"1")

    assert wire.ask("COPY", "/dav/x", {"Destination": header}).status in {400, 502}


def test_nobody_gets_in_without_a_credential(wire: Wire) -> None:
    """One text and one challenge for every refusal, on every method; no anonymous user."""
    with wire.connect() as client:
        answers = [
            client.ask(method, path, headers, b"")
            for method, path in [("GET", "/dav/"), ("PROPFIND", "/dav/x"), ("OPTIONS", "/dav/"), ("PUT", "/dav/x")]
            for headers in [{}, {"Authorization": basic(wire.name, "wrong")}, {"Authorization": "Digest x"}]
        ]

    assert {401} == {answer.status for answer in answers}
    assert {'Basic realm="Quaymaster", charset="UTF-8"'} == {answer.headers["www-authenticate"] for answer in answers}
    assert len({answer.body for answer in answers}) == 1
    wire.server.forget_failures()


def test_windows_finds_webdav_at_the_root_without_a_password(wire: Wire) -> None:
    """OPTIONS at / and * shows class 2 and MS-Author-Via."""
    with wire.connect() as client:
        for path in ("/", "*"):
            answer = client.ask("OPTIONS", path)
            assert (answer.status, answer.headers["dav"], answer.headers["ms-author-via"]) == (200, "1, 2", "DAV")


def test_health_and_the_front_page(wire: Wire) -> None:
    """Up, ready, a sentence, and nothing else."""
    with wire.connect() as client:
        got = {path: client.ask("GET", path) for path in ("/healthz", "/readyz", "/", "/metrics", "/davx")}

    assert {path: answer.status for path, answer in got.items()} == {
        "/healthz": 200,
        "/readyz": 200,
        "/": 200,
        "/metrics": 404,
        "/davx": 404,
    }
    assert b"/dav/" in got["/"].body


def test_a_user_s_page_cannot_act_as_the_site(wire: Wire) -> None:
    """HTML that somebody uploaded is sandboxed and not sniffed."""
    wire.ask("PUT", "/dav/evil.html", body=b"<script>alert(1)</script>")
    headers = wire.ask("GET", "/dav/evil.html").headers

    assert (
        headers["x-content-type-options"],
        headers["content-security-policy"],
    ) == ("nosniff", "sandbox; default-src 'none'")
    assert "granian" not in str(headers).lower()
    assert "wsgidav" not in str(headers).lower()


def test_locks_hold_across_workers(wire: Wire) -> None:
    """New connections land on either worker; none of twenty writes gets through without the token."""
    wire.ask("PUT", "/dav/x", body=b"1")
    locked = wire.ask("LOCK", "/dav/x", {"Depth": "0"}, lock_body().encode())
    token = locked.headers["lock-token"]

    assert {423} == {wire.ask("PUT", "/dav/x", body=b"2").status for _ in range(20)}
    assert {423} == {wire.ask("LOCK", "/dav/x", {"Depth": "0"}, lock_body().encode()).status for _ in range(10)}
    assert {204} == {wire.ask("PUT", "/dav/x", {"If": f"({token})"}, b"2").status for _ in range(10)}
    assert wire.ask("UNLOCK", "/dav/x", {"Lock-Token": token}).status == 204


def test_dead_properties_hold_across_workers(wire: Wire) -> None:
    """What a request on one worker set, changed or removed is what every later request finds, on either."""

    def patch(change: str) -> int:
        body = f'<D:propertyupdate xmlns:D="DAV:" xmlns:x="urn:x">{change}</D:propertyupdate>'
        return wire.ask("PROPPATCH", "/dav/x", body=body.encode()).status

    def found() -> set[bool]:
        answers = [wire.ask("PROPFIND", "/dav/x", {"Depth": "0"}) for _ in range(10)]
        return {b">red<" in answer.body for answer in answers}

    wire.ask("PUT", "/dav/x", body=b"1")
    assert patch("<D:set><D:prop><x:color>red</x:color></D:prop></D:set>") == 207
    assert found() == {True}
    assert wire.ask("PUT", "/dav/x", body=b"2").status == 204
    assert found() == {True}
    assert patch("<D:remove><D:prop><x:color/></D:prop></D:remove>") == 207
    assert found() == {False}


def test_many_requests_are_one_session_per_worker(wire: Wire) -> None:
    """The registry shows clients, not requests."""
    for _ in range(20):
        assert wire.ask("HEAD", "/dav/").status == 200

    assert 1 <= wire.live_sessions() <= 2


def test_a_disabled_user_is_cut_in_the_middle_of_an_upload(wire: Wire) -> None:
    """Within a second, and nothing of it is kept."""
    with wire.connect() as client:
        client.begin("PUT", "/dav/x", wire.auth | {"Content-Length": "1000000"})
        client.send(b"x" * 200_000)
        eventually(wire.uploading, what="the upload to begin")
        begun = time.monotonic()
        wire.server.store.apply(SetStatus(wire.user.id, Status.DISABLED), actor="test")

        assert client.ended(5)
        assert time.monotonic() - begun < 1.5
    eventually(lambda: not any(wire.server.home_of(wire.name).iterdir()), what="the temporary file to go")
    assert wire.ask("GET", "/dav/x").status == 401
    eventually(lambda: wire.live_sessions() == 0, what="the session's row to be closed")


def test_a_disabled_user_is_cut_in_the_middle_of_a_download(wire: Wire) -> None:
    """The client sees fewer bytes than announced."""
    size = 64 * 1024 * 1024
    (wire.server.home_of(wire.name)).mkdir(parents=True, exist_ok=True)
    wire.ask("PUT", "/dav/big", body=b"")
    with (wire.server.home_of(wire.name) / "big").open("r+b") as file:
        file.truncate(size)
    with wire.connect() as client:
        client.begin("GET", "/dav/big", wire.auth)
        received = len(client.socket.recv(1000))
        begun = time.monotonic()
        wire.server.store.apply(SetStatus(wire.user.id, Status.DISABLED), actor="test")
        eventually(lambda: wire.live_sessions() == 0, what="the session to end", within_s=5)
        assert time.monotonic() - begun < 2
        try:
            while piece := client.socket.recv(65536):
                received += len(piece)
        except OSError:
            pass

    assert received < size


def test_an_upload_that_stalls_is_given_up() -> None:
    """The server's own timeout, since the HTTP server has none."""
    with QuaymasterServer(environment={"QUAYMASTER_HTTP__BODY_IDLE_TIMEOUT_S": "1"}) as server:
        wire = Wire(server)
        with wire.connect() as client:
            client.begin("PUT", "/dav/x", wire.auth | {"Content-Length": "1000"})
            client.send(b"x")
            assert client.answer().status == 408
            assert client.ended(5)
        assert wire.ask("GET", "/dav/x").status == 404


def test_cadaver_works_with_files_folders_locks_and_properties(wire: Wire, tmp_path: Path) -> None:
    """The real client on a terminal (it asks there whether to trust the certificate), up and down."""
    (tmp_path / "up").write_bytes(b"cadaver was here")
    (tmp_path / ".netrc").write_text(f"machine localhost login {wire.name} password {PASSWORD}\n")
    (tmp_path / ".netrc").chmod(0o600)
    script = (
        "y\nmkcol dir\ncd dir\nput up\ncopy up two\nmove two three\nlock up\nunlock up\npropset up colour blue\n"
        "propget up colour\nls\nget three down\ndelete up\nquit\n"
    )
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        ["cadaver", f"https://localhost:{wire.server.http_port}/dav/"],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
    ) as client:
        os.close(other_end)
        os.write(terminal, script.encode())
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the client closed the terminal
            while piece := os.read(terminal, 4096):
                shown += piece
        os.close(terminal)
        client.wait(30)

    assert (tmp_path / "down").exists(), shown.decode()
    assert (tmp_path / "down").read_bytes() == b"cadaver was here"
    assert b"failed" not in shown
    assert b"blue" in shown
    assert {"three"} == {path.name for path in (wire.server.home_of(wire.name) / "dir").iterdir()}


@pytest.mark.parametrize("chunked", [False, True])
def test_curl_sends_resumes_and_asks_conditionally(wire: Wire, tmp_path: Path, *, chunked: bool) -> None:
    """With its own certificate check, with and without a known length."""
    folder = tmp_path
    data = bytes(range(256)) * 8192
    (folder / "up").write_bytes(data)
    (folder / "down").write_bytes(data[:100_000])
    url = f"https://localhost:{wire.server.http_port}/dav/some%20file"
    curl = ["curl", "-sSf", "--cacert", str(wire.server.certificate), "-u", f"{wire.name}:{PASSWORD}"]
    with (folder / "up").open("rb") as source:
        subprocess.run([*curl, "-T", "-" if chunked else str(folder / "up"), url], stdin=source, check=True, timeout=60)
    subprocess.run([*curl, "-C", "-", "-o", str(folder / "down"), url], check=True, timeout=60)

    assert data == (folder / "down").read_bytes()
