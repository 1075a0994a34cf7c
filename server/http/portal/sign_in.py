"""The sign-in page: a button for each identity provider, and a password for those who have one here."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth_backends.api import FrontEnd, Granted, Password, Reason, Secret, TryLater
from auth_backends.sso import Form
from server.http.portal import cookies
from server.http.portal.desk import Desk, peer_of
from server.http.portal.forms import BadForm, form_of
from server.http.portal.pages import sent_to
from server.http.sso.onward import onward
from server.sso.addresses import safe_return
from server.sso.providers import Button

WRONG = "Wrong user name or password."
LATER = "Your sign-in cannot be checked right now. Please try again in a few minutes."
ASK_CODE = "Give your password once more, and the code of your authenticator."
MAX_NAME = 256
MAX_CODE = 16
MAX_PASSWORD = 1024


class SignInRoutes:
    """Translates between the form and the broker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """Give the addresses."""
        return [
            Route("/sign-in", self.page, methods=["GET"]),
            Route("/sign-in", self.take, methods=["POST"]),
            Route("/sign-out", self.leave, methods=["POST"]),
            Route("/signed-out", self.left, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """Show the ways to sign in; who is signed in goes on, and where there is one way only it is taken."""
        return_to = safe_return(request.query_params.get("return_to"))
        if await self._desk.visitor(request) is not None:
            return sent_to(return_to)
        buttons = await self._desk.bridge.auth(self._desk.sso.providers.buttons)
        one_way = len(buttons) == 1 and not self._desk.services.settings.portal.password_sign_in
        if one_way and "password" not in request.query_params:  # the way round it for break-glass admins
            return sent_to(_start(buttons[0], return_to))
        return self._shown(request, buttons, return_to)

    async def take(self, request: Request) -> Response:
        """Take the form: a name of a provider's domain goes there, any other is checked with its password."""
        buttons = await self._desk.bridge.auth(self._desk.sso.providers.buttons)
        try:
            fields = await form_of(request)
        except BadForm as problem:
            return self._shown(request, buttons, "/account", message=str(problem), status=400)
        return_to = safe_return(fields.get("return_to"))
        browser = cookies.browser_of(request)
        if not self._desk.is_from_here(request) or not cookies.is_form_token(browser, fields.get("form", "")):
            return self._shown(request, buttons, return_to, message="Please try again.", status=400)
        name, password = fields.get("name", "").strip(), fields.get("password", "")
        domain = name.rpartition("@")[2].lower()
        routed = next((button for button in buttons if domain and "@" in name and domain in button.domains), None)
        if routed is not None:  # whether there is such a user is not looked up, and a password not looked at
            address = _start(routed, return_to, login=name[:MAX_NAME])
            return self._desk.pages.page(
                "leaving.html", {"address": address, "words": f"You sign in at {routed.label}."}
            )
        if not name or len(name) > MAX_NAME or not password or len(password) > MAX_PASSWORD:
            return self._shown(request, buttons, return_to, name=name[:MAX_NAME], message=WRONG, status=403)
        return await self._checked(request, buttons, return_to, fields)

    async def _checked(
        self, request: Request, buttons: list[Button], return_to: str, fields: Mapping[str, str]
    ) -> Response:
        name, code = fields["name"].strip(), fields.get("code", "").strip()[:MAX_CODE]
        credential = Password(name, Secret(fields["password"]), Secret(code) if code else None)
        decision = await self._desk.bridge.auth(
            self._desk.services.sign_in.authenticate, FrontEnd.PORTAL, credential, peer_of(request)
        )
        match decision:
            case Granted():
                cookie = await self._desk.bridge.auth(self._desk.sso.portal.open, decision, "")
                response = self._onward(return_to)
                await self._desk.enter(request, response, cookie)
                return response
            case TryLater():
                return self._shown(request, buttons, return_to, name=name, message=LATER, status=503)
            case _:
                asks = decision.reason is Reason.TOTP_REQUIRED and not code
                words = ASK_CODE if asks else WRONG
                return self._shown(
                    request, buttons, return_to, name=name, message=words, status=403, code_asked=asks or bool(code)
                )

    def _onward(self, return_to: str) -> Response:
        """Go on after the form; by a page where it goes on to a provider, as ``form-action`` binds redirects, too."""
        if not return_to.startswith("/sso/"):
            return sent_to(return_to)
        return self._desk.pages.page("leaving.html", {"address": return_to, "words": "You are signed in."})

    async def leave(self, request: Request) -> Response:
        """End the session here, and then at the provider."""
        try:
            fields = await form_of(request)
        except BadForm:
            fields = {}
        cookie = cookies.session_of(request) or ""
        if not self._desk.is_from_here(request) or not cookies.is_form_token(cookie, fields.get("form", "")):
            return sent_to("/account")
        where = await self._desk.bridge.abroad(self._desk.sso.sign_out.from_here, cookie, cookies.browser_of(request))
        words = "You are signed out here, and will be at your sign-in service."
        match where:
            case None:
                response = sent_to("/signed-out")
            case Form():
                response = onward(self._desk.pages, where)
            case str():
                response = self._desk.pages.page("leaving.html", {"address": where, "words": words})
        cookies.forget_session(response)
        return response

    async def left(self, request: Request) -> Response:  # noqa: ARG002 - every route's signature
        """Say that the session is over."""
        words = "You are signed out. Programs that use your keys go on working."
        return self._desk.pages.page("notice.html", {"title": "Signed out", "words": words, "number": 0})

    def _shown(
        self,
        request: Request,
        buttons: list[Button],
        return_to: str,
        *,
        name: str = "",
        message: str = "",
        status: int = 200,
        code_asked: bool = False,
    ) -> Response:
        cookie = cookies.browser_of(request) or cookies.new_browser()
        offered = self._desk.services.settings.portal.password_sign_in or not buttons
        password_asked = offered or request.method == "POST" or "password" in request.query_params
        values = {
            "password_asked": password_asked,
            "name_asked": password_asked or any(button.domains for button in buttons),
            "buttons": [{"label": button.label, "href": _start(button, return_to)} for button in buttons],
            "form": cookies.form_token(cookie),
            "return_to": return_to,
            "name": name,
            "message": message,
            "code_asked": code_asked,
        }
        response = self._desk.pages.page("sign_in.html", values, status)
        cookies.set_browser(response, cookie)
        return response


def _start(button: Button, return_to: str, login: str = "") -> str:
    query = {"return_to": return_to} | ({"login": login} if login else {})
    return f"/sso/{button.name}/start?{urlencode(query)}"
