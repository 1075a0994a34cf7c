"""/sso/PROVIDER/...: what a browser carries between a provider and us. Every refusal looks the same."""

from __future__ import annotations

from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth_backends.sso import SsoRefused
from server.http.portal import cookies
from server.http.portal.desk import Desk, peer_of
from server.http.portal.forms import BadForm, fields_of, form_of
from server.http.portal.pages import HEADERS, sent_to
from server.http.sso.onward import onward
from server.http.sso.turns import NoTurn, Turns
from server.sso.addresses import safe_return
from server.sso.party import Hints, Reply
from server.sso.refusals import Refusals
from server.sso.sign_in import NotSignedIn, SignedIn, Tested
from storage.database.records import Role
from storage.database.sso_flows import Purpose
from storage.database.store import StoreError

log = structlog.get_logger(__name__)

REFUSED = "You could not be signed in."
LATER = "This cannot be done right now. Please try again in a few minutes."
UNREACHABLE = (
    "The sign-in service of {label} cannot be reached right now. Other ways to sign in, and your keys, work as before."
)

MAX_LOGOUT_FORM = 96 * 1024
"""Bytes of a form with a logout token or a message of single logout, whose own limit is 64 KiB."""
BACK_CHANNEL_AT_ONCE = 2
"""So many logout tokens of a provider are verified at a time by a worker: strangers may send them."""


class SsoRoutes:
    """Translates between browsers and :mod:`server.sso`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._back_channel = Turns(BACK_CHANNEL_AT_ONCE)
        self._turns = Turns()
        self._refusals = Refusals()

    def routes(self) -> list[Route]:
        """Give the addresses."""
        return [
            Route("/sso/{provider}/start", self.start, methods=["GET"]),
            Route("/sso/{provider}/test", self.test, methods=["GET"]),
            Route("/sso/{provider}/acs", self.acs, methods=["POST"]),
            Route("/sso/{provider}/callback", self.callback, methods=["GET"]),
            Route("/sso/{provider}/metadata", self.metadata, methods=["GET"]),
            Route("/sso/{provider}/slo", self.slo, methods=["GET", "POST"]),
            Route("/sso/{provider}/back-channel", self.back_channel, methods=["POST"]),
        ]

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider, to sign in."""
        return_to = safe_return(request.query_params.get("return_to"))
        return await self._begin(request, return_to, Purpose.SIGN_IN)

    async def test(self, request: Request) -> Response:
        """Send an admin's browser to the provider, to see what comes back; nobody is signed in by it.

        The page says why an answer is not believed, which helps whoever forges one: it is for admins alone.
        """
        visitor = await self._desk.visitor(request)
        if visitor is None:
            return sent_to(f"/sign-in?{urlencode({'return_to': request.url.path})}")
        if visitor.user.role is not Role.ADMIN:
            return self._notice("For administrators", "Only an administrator can try a sign-in out.", 403)
        return await self._begin(request, "/account", Purpose.TEST)

    async def acs(self, request: Request) -> Response:
        """Take a SAML response (HTTP POST binding, saml-bindings-2.0-os section 3.5)."""
        try:
            fields = await form_of(request)
        except BadForm:
            return self._refused(0)
        return await self._finish(request, fields.get("RelayState", ""), fields)

    async def callback(self, request: Request) -> Response:
        """Take an authorization response (RFC 6749 section 4.1.2)."""
        try:
            fields = fields_of(request.url.query)
        except BadForm:
            return self._refused(0)
        return await self._finish(request, fields.get("state", ""), fields)

    async def metadata(self, request: Request) -> Response:
        """Give our SAML metadata for this provider."""
        try:
            xml = await self._desk.bridge.abroad(self._desk.sso.sign_out.metadata, request.path_params["provider"])
        except SsoRefused:
            return self._notice("There is nothing here.", "No such provider signs people in by SAML.", 404)
        return Response(xml, 200, HEADERS, media_type="application/samlmetadata+xml")

    async def slo(self, request: Request) -> Response:
        """Take a request or an answer of single logout, by HTTP redirect or POST (saml-bindings-2.0-os 3.4, 3.5)."""
        provider = request.path_params["provider"]
        try:
            carried = request.url.query if request.method != "POST" else await form_of(request, MAX_LOGOUT_FORM)
            async with self._turns.turn(provider):
                where = await self._desk.bridge.abroad(
                    self._desk.sso.sign_out.from_provider, provider, carried, peer_of(request)
                )
        except NoTurn:
            return self._notice("Sign-out failed", LATER, 503)
        except (BadForm, SsoRefused) as refused:
            reason = refused.reason.value if isinstance(refused, SsoRefused) else "no_form"
            log.warning(
                "sso.sign_out_refused", provider=provider, reason=reason, detail=str(refused), peer=peer_of(request)
            )
            return self._notice("Sign-out failed", "This sign-out could not be carried out.", 400)
        return onward(self._desk.pages, where)

    async def back_channel(self, request: Request) -> Response:
        """Take a logout token from the provider's server (OpenID Connect Back-Channel Logout 1.0 sections 2.5, 2.8)."""
        provider = request.path_params["provider"]
        try:
            token = (await form_of(request, MAX_LOGOUT_FORM)).get("logout_token", "")
            async with self._back_channel.turn(provider):
                await self._desk.bridge.abroad(
                    self._desk.sso.sign_out.from_back_channel, provider, token, peer_of(request)
                )
        except (BadForm, NoTurn, SsoRefused, StoreError) as error:
            reason = error.reason.value if isinstance(error, SsoRefused) else type(error).__name__
            log.warning("sso.back_channel_refused", provider=provider, reason=reason, peer=peer_of(request))
            return JSONResponse({"error": "invalid_request"}, 400, HEADERS)  # whatever was wrong, says section 2.8
        return Response(None, 200, HEADERS)

    async def _begin(self, request: Request, return_to: str, purpose: Purpose) -> Response:
        provider = request.path_params["provider"]
        cookie = cookies.browser_of(request) or cookies.new_browser()
        hints = Hints(login=request.query_params.get("login", "")[:256], force=purpose is Purpose.TEST)
        try:
            async with self._turns.turn(provider):
                address = await self._desk.bridge.abroad(
                    self._desk.sso.sign_in.begin, provider, cookie, return_to, purpose, hints
                )
        except NoTurn:
            return self._refused(0, later=True)
        except SsoRefused as refused:
            log.warning("sso.not_begun", provider=provider, reason=refused.reason.value, detail=refused.detail)
            labels = {
                button.name: button.label for button in await self._desk.bridge.auth(self._desk.sso.providers.buttons)
            }
            if provider not in labels:  # what a stranger wrote in a link is not repeated
                return self._notice("There is nothing here.", "Nobody signs in at a provider of this name.", 404)
            return self._notice("Sign-in is not possible there now", UNREACHABLE.format(label=labels[provider]), 503)
        response = sent_to(address)
        cookies.set_browser(response, cookie)
        return response

    async def _finish(self, request: Request, handle: str, fields: dict[str, str]) -> Response:
        reply = Reply(request.path_params["provider"], handle, fields, cookies.browser_of(request), peer_of(request))
        if self._refusals.too_many(reply.peer):
            return self._refused(0, later=True)
        try:
            async with self._turns.turn(reply.provider):
                outcome = await self._desk.bridge.abroad(self._desk.sso.sign_in.finish, reply)
        except NoTurn:
            return self._refused(0, later=True)
        match outcome:
            case SignedIn(cookie, return_to):
                response = sent_to(return_to)
                await self._desk.enter(request, response, cookie)
                return response
            case Tested(number):
                answer = await self._desk.bridge.auth(self._desk.services.store.sso_answers.by_id, number)
                return self._desk.pages.page("tested.html", {"answer": answer})
            case NotSignedIn(number, later):
                if not later:
                    self._refusals.count(reply.peer)
                return self._refused(number, later=later)

    def _refused(self, number: int, *, later: bool = False) -> Response:
        return self._notice("Sign-in failed", LATER if later else REFUSED, 503 if later else 403, number)

    def _notice(self, title: str, words: str, status: int, number: int = 0) -> Response:
        return self._desk.pages.page("notice.html", {"title": title, "words": words, "number": number}, status)
