"""A SAML provider on loopback as a browser meets it: sign-outs come to it by POST alone, and go back by redirect."""

from __future__ import annotations

import html
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from auth_backends.saml.logout import logout_response
from auth_backends.saml.metadata import POST, REDIRECT
from auth_backends.saml.parties import IdentityProvider, ServiceProvider
from tests.support.saml_logouts import readable
from tests.support.saml_signer import SSO_URL, EntraSigner, idp_metadata
from tests.support.sso_browser import saml_request_id

POLL_S = 0.005  # how long its end takes


class PostingProvider:
    """Signs everybody in whom it is asked about. ``heard`` are the names that it was told to sign out."""

    def __init__(self, signer: EntraSigner) -> None:
        self.signer = signer
        self.heard: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.sign_in(self, dict(parse_qsl(urlsplit(self.path).query)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
                outer.sign_out(self, dict(parse_qsl(body)))

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True)

    @property
    def metadata(self) -> bytes:
        """What it publishes."""
        by_redirect = f'<SingleLogoutService Binding="{REDIRECT}" Location="{SSO_URL}"/>'
        by_post = f'<SingleLogoutService Binding="{POST}" Location="{self.origin}/slo"/>'
        text = idp_metadata(self.signer).decode().replace(by_redirect, by_post)
        return text.replace(SSO_URL, f"{self.origin}/sso").encode()

    def sign_in(self, asked: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        """Give a page that posts the answer at once, as providers do."""
        fields = {
            "SAMLResponse": self.signer.response(saml_request_id(query), time.time()),
            "RelayState": query["RelayState"],
        }
        inputs = "".join(f'<input name="{name}" value="{html.escape(value)}">' for name, value in fields.items())
        form = f'<form method="post" action="{self.signer.acs_url}">{inputs}</form>'
        page = f'<body onload="document.forms[0].submit()">{form}</body>'.encode()
        asked.send_response(200)
        asked.send_header("Content-Type", "text/html")
        asked.send_header("Content-Length", str(len(page)))
        asked.end_headers()
        asked.wfile.write(page)

    def sign_out(self, asked: BaseHTTPRequestHandler, fields: dict[str, str]) -> None:
        """Note who it is, and send the browser back."""
        request = readable(fields["SAMLRequest"])
        self.heard.append(str(request.findtext("{*}NameID")))
        pair = self.signer.pair
        us = ServiceProvider(self.signer.issuer, "", "", pair.private_key_pem, pair.certificate_pem)
        back = IdentityProvider("", "", slo_response_url=self.signer.acs_url.replace("/acs", "/slo"))
        answered, state = str(request.get("ID")), fields["RelayState"]
        address = logout_response(back, us, in_response_to=answered, relay_state=state, now=time.time())
        asked.send_response(303)
        asked.send_header("Location", str(address))
        asked.send_header("Content-Length", "0")
        asked.end_headers()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
