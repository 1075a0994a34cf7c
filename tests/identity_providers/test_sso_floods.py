"""Strangers who send answers of a provider by the thousand: what they leave behind has an end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.sso.refusals import AT_MOST
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuaymasterServer]:
    """One worker a front end: the limit is each worker's own."""
    config = tmp_path_factory.mktemp("site") / "site.toml"
    config.write_text(
        '[sso.idp]\nmethod = "oidc"\nissuer = "https://idp.example"\nclient_id = "x"\nclient_secret = "y"\n'
    )
    with QuaymasterServer(config=config) as running:
        yield running


def test_refused_answers_of_a_network_have_an_end(server: QuaymasterServer) -> None:
    """Beyond so many a minute none is looked into, kept, or written in the audit trail; passwords work as before."""
    server.add_user("lola", password="right horse")
    with SsoBrowser(server) as browser:
        statuses = [browser.get("/sso/idp/callback?state=x&code=y").status_code for _ in range(AT_MOST + 20)]
        browser.sign_in("lola", "right horse")
        who = browser.name()

    assert statuses == [403] * AT_MOST + [503] * 20
    assert len(server.store.sso_answers.list("idp", 2 * AT_MOST)) == AT_MOST
    assert len(server.store.audit.tail(kind="sign_in", limit=2 * AT_MOST)) == AT_MOST
    assert who == "lola"
