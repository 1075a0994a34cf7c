"""A refused request leaves the connection in order, or says that it ends."""

from __future__ import annotations

import select

import pytest

from tests.support.dav_site import basic
from tests.support.raw_http import RawHttps
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"


@pytest.fixture
def auth(server: QuaymasterServer) -> dict[str, str]:
    """The credentials of a user."""
    server.add_user("connected", password=PASSWORD)
    return {"Authorization": basic("connected", PASSWORD)}


def test_a_refused_small_upload_leaves_the_connection_usable(server: QuaymasterServer, auth: dict[str, str]) -> None:
    """The answer waits for the body that follows the head, and the next request goes on the same connection."""
    with RawHttps(server.http_port, server.certificate) as client:
        client.ask("GET", "/healthz")  # takes the TLS session tickets in, which would look like an answer
        client.begin("PUT", "/dav/absent/file", auth | {"Content-Length": "4"})
        early, _, _ = select.select([client.socket], [], [], 0.5)
        client.send(b"mine")
        answer = client.answer()
        following = client.ask("PUT", "/dav/file", auth, b"mine")

    assert early == []
    assert (answer.status, answer.headers.get("connection")) == (409, None)
    assert following.status in {201, 204}


@pytest.mark.parametrize("extra", [{}, {"Expect": "100-continue"}])
def test_a_refused_large_upload_says_that_the_connection_ends(
    server: QuaymasterServer, auth: dict[str, str], extra: dict[str, str]
) -> None:
    """What nobody reads cannot be followed by another request, and the client hears that."""
    with RawHttps(server.http_port, server.certificate) as client:
        client.begin("PUT", "/dav/absent/file", auth | extra | {"Content-Length": "100000000"})
        answer = client.answer()

        assert answer.status == 409
        assert answer.headers["connection"] == "close"
        assert client.ended()
