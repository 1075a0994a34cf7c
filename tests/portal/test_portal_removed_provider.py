"""An identity provider is taken out of the configuration, or gets another name, while people are signed in by it."""

from __future__ import annotations

import signal
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method
from tests.support.oidc_provider_double import SECRET, Provider
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser
from tests.support.waiting import eventually

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"
SLOW_S = 60.0


def configured(name: str, provider: Provider) -> str:
    """Write the provider as it stands in the TOML file."""
    return (
        f'[sso.{name}]\nmethod = "oidc"\nissuer = "{provider.issuer}"\nclient_id = "{provider.client_id}"\n'
        f'client_secret = "{SECRET}"\nprivate_hosts = true\n'
    )


def test_whoever_it_vouched_for_is_signed_out(tmp_path: Path) -> None:
    """With the reload, and for good; whoever signed in with a password, or at a provider that stays, stays too."""
    config = tmp_path / "site.toml"
    with closing(Provider()) as trusted, closing(Provider()) as other:
        config.write_text(configured("old", trusted) + configured("other", other))
        with QuaymasterServer(workers=2, config=config) as server:
            server.add_user("lola", password=PASSWORD)
            for name, provider, double in (("ann", "old", trusted), ("bob", "other", other)):
                user = server.store.apply(CreateUser(name, Method.OIDC, provider=provider), actor="test").subject_id
                server.store.apply(LinkIdentity(user, provider, double.person["sub"]), actor="test")
            with SsoBrowser(server) as lola, SsoBrowser(server) as ann, SsoBrowser(server) as bob:
                lola.sign_in("lola", PASSWORD)
                for browser, provider, double in ((ann, "old", trusted), (bob, "other", other)):
                    query = double.browse(browser.get(f"/sso/{provider}/start").headers["location"])
                    browser.get(f"/sso/{provider}/callback?{urlencode(query)}")
                before = [browser.name() for browser in (lola, ann, bob)]
                config.write_text(configured("new", trusted) + configured("other", other))
                server.signal(signal.SIGHUP)
                eventually(lambda: ann.name() is None, what="ann to be signed out", within_s=SLOW_S)
                after = [browser.name() for browser in (lola, ann, bob)]

    assert before == ["lola", "ann", "bob"]
    assert after == ["lola", None, "bob"]
