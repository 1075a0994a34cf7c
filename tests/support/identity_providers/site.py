"""A running server whose people sign in at real identity providers: one by SAML, one by OpenID Connect."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote

import httpx

from storage.database.changes import Provision
from storage.database.records import Method, Owner
from tests.support.chromium import Chromium
from tests.support.identity_providers.node import NodeServer
from tests.support.identity_providers.simple_saml import REDIRECT, SimpleSaml
from tests.support.saml_signer import DISPLAY, EMAIL, NAME, OBJECT_ID, TENANT, TENANT_ID
from tests.support.server import QuaymasterServer

CLIENT_ID, CLIENT_SECRET = "quaymaster", "the-secret-of-this-client"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at an identity provider. ``object_id`` is what links them; ``password`` is the provider's business."""

    login: str
    password: str
    object_id: str


JOE = Person("joe", "Joe's own Passw0rd", "0a8d7c4e-1111-4222-8333-000000000001")
NEA = Person("nea", "Nea's own Passw0rd", "0a8d7c4e-1111-4222-8333-000000000002")
ANN = Person("ann", "Ann's own Passw0rd", "0a8d7c4e-1111-4222-8333-000000000003")


class RealProviders:
    """Two workers a front end, the SAML provider ``saml`` and the OpenID provider ``oidc``, added by the command line.

    JOE and NEA sign in at ``saml``, ANN at ``oidc``. JOE and ANN are users, whom
    a SCIM client told us of by their object ids; NEA is new here.
    ``logout`` is the binding of SAML's single logout, both ways.
    """

    def __init__(self, *, logout: str = REDIRECT) -> None:
        self._stack = ExitStack()
        self._logout = logout
        self.server = QuaymasterServer(workers=2)
        self.saml = SimpleSaml({f"{one.login}:{one.password}": _attributes(one) for one in (JOE, NEA)}, logout=logout)
        self.origin = f"https://localhost:{self.server.http_port}"
        self.oidc = NodeServer(
            "op.mjs",
            clients=[
                {
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                    "redirect_uris": [f"{self.origin}/sso/oidc/callback"],
                    "post_logout_redirect_uris": [f"{self.origin}/signed-out"],
                    "backchannel_logout_uri": f"{self.origin}/sso/oidc/back-channel",
                    "backchannel_logout_session_required": True,
                }
            ],
            people={ANN.login: {"oid": ANN.object_id, "preferred_username": ANN.login}},
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.server)
            self.oidc.environment["NODE_EXTRA_CA_CERTS"] = str(self.server.certificate)
            stack.enter_context(self.oidc)
            stack.enter_context(self.saml)
            self._configure()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cli(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command of the installation and give its output; a failure fails the test."""
        done = self.server.cli(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def metadata(self) -> bytes:
        """What we publish of ourselves for the SAML provider."""
        trusted = ssl.create_default_context(cafile=str(self.server.certificate))
        answer = httpx.get(f"{self.origin}/sso/saml/metadata", verify=trusted, trust_env=False)
        assert answer.status_code == httpx.codes.OK
        return answer.content

    def begin(self, browser: Chromium, button: str, return_to: str = "/account") -> None:
        """Go to the sign-in page, and from there to a provider."""
        browser.open(f"{self.origin}/sign-in?return_to={quote(return_to, safe='')}")
        browser.click_link(f"Sign in with {button}")

    def sign_in_by_saml(self, browser: Chromium, person: Person, return_to: str = "/account") -> None:
        """Sign in at SimpleSAMLphp, and arrive."""
        self.begin(browser, "Contoso", return_to)
        self.give_password(browser, person)
        browser.arrives(f"{self.origin}{return_to}")

    def give_password(self, browser: Chromium, person: Person) -> None:
        """Fill in SimpleSAMLphp's form."""
        browser.arrives(self.saml.address)
        browser.type("input[name=username]", person.login)
        browser.type("input[name=password]", person.password, enter=True)

    def sign_in_by_oidc(self, browser: Chromium, person: Person, return_to: str = "/account") -> None:
        """Sign in at oidc-provider, agree, and arrive."""
        self.begin(browser, "Fabrikam", return_to)
        browser.arrives(self.oidc.issuer)
        browser.type("input[name=login]", person.login)
        browser.type("input[name=password]", person.password, enter=True)
        browser.click_link("Continue")
        browser.arrives(f"{self.origin}{return_to}")

    def _configure(self) -> None:
        add = ("provider", "add", "sso")
        saml = ["--method=saml", "--vendor=entra", f"--tenant={TENANT}", f"--metadata-url={self.saml.metadata_url}"]
        saml += ["--display-name=Contoso", "--mail-domain=contoso.test", "--jit=on", "--private-hosts=on"]
        self.cli(*add, "saml", *saml)
        oidc = ["--method=oidc", f"--issuer={self.oidc.issuer}", "--subject-claim=oid", "--display-name=Fabrikam"]
        oidc += [f"--client-id={CLIENT_ID}", "--client-secret-stdin", "--private-hosts=on"]
        self.cli(*add, "oidc", *oidc, stdin=CLIENT_SECRET)
        self.saml.trust(self.metadata(), logout=self._logout)
        for person, method in ((JOE, Method.SAML), (ANN, Method.OIDC)):
            told = Provision(method.value, Owner.SCIM, method, person.object_id, person.login)
            self.server.store.apply(told, actor="test")


def _attributes(person: Person) -> dict[str, list[str]]:
    return {
        OBJECT_ID: [person.object_id],
        TENANT_ID: [TENANT],
        NAME: [person.login],
        DISPLAY: [person.login.title()],
        EMAIL: [f"{person.login}@contoso.test"],
    }
