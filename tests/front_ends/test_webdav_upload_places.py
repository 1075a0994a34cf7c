"""How many uploads one worker takes at a time."""

from __future__ import annotations

import pytest

from tests.support.dav_site import basic
from tests.support.raw_http import RawHttps
from tests.support.server import QuaymasterServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.system

PASSWORD = "wrong horse battery"


def test_an_upload_too_many_is_told_to_come_again() -> None:
    """http.max_uploads: 503 with Retry-After before the body, others are served, and one that ends makes room."""
    with QuaymasterServer(workers=1, environment={"QUAYMASTER_HTTP__MAX_UPLOADS": "1"}) as server:
        server.add_user("sender", password=PASSWORD)
        auth = {"Authorization": basic("sender", PASSWORD)}

        def connect() -> RawHttps:
            return RawHttps(server.http_port, server.certificate)

        def status(method: str) -> tuple[int, str | None]:
            with connect() as client:
                answer = client.ask(method, "/dav/second", auth, b"x" if method == "PUT" else b"")
                return answer.status, answer.headers.get("retry-after")

        with connect() as first:
            first.begin("PUT", "/dav/first", auth | {"Content-Length": "4", "Expect": "100-continue"})
            asked = first.answer().status  # its body is waited for now
            refused = status("PUT")
            listed = status("PROPFIND")
            first.send(b"mine")
            finished = first.answer().status

        assert asked == 100
        assert refused == (503, "5")
        assert listed == (404, None)
        assert finished == 201
        eventually(lambda: status("PUT") == (201, None), what="room for another upload")
