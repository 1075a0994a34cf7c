"""The account page: who am I, my keys, my sessions, sign out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.providers import WAYS_IN
from server.http.portal import cookies
from server.http.portal.desk import Desk, to_sign_in
from server.http.portal.forms import BadForm, form_of
from server.http.portal.pages import sent_to
from server.own_keys import OwnKeyRefused, OwnKeys
from server.portal import Visitor
from server.session_cuts import cut_session
from storage.database.records import ApiKey, SshKey

Action = Callable[[Visitor, Mapping[str, str]], Awaitable[Response]]


class AccountRoutes:
    """Translates between the page and the user store. Each form must come from a page of the same session."""

    def __init__(self, desk: Desk, keys: OwnKeys) -> None:
        self._desk = desk
        self._keys = keys

    def routes(self) -> list[Route]:
        """Give the addresses."""
        actions: dict[str, Action] = {
            "/account/keys": self._add_key,
            "/account/keys/revoke": self._revoke_key,
            "/account/api-keys": self._add_api_key,
            "/account/api-keys/revoke": self._revoke_api_key,
            "/account/sessions/end": self._end_session,
        }
        return [
            Route("/account", self.page, methods=["GET"]),
            *(Route(path, self._posted(action), methods=["POST"]) for path, action in actions.items()),
        ]

    async def page(self, request: Request) -> Response:
        """Show the account of who is signed in."""
        visitor = await self._desk.visitor(request)
        if visitor is None:
            return to_sign_in()
        return await self._shown(visitor, cookies.session_of(request) or "")

    def _posted(self, action: Action) -> Callable[[Request], Awaitable[Response]]:
        async def take(request: Request) -> Response:
            visitor = await self._desk.visitor(request)
            if visitor is None:
                return to_sign_in()
            cookie = cookies.session_of(request) or ""
            try:
                fields = await form_of(request)
                if not self._desk.is_from_here(request) or not cookies.is_form_token(cookie, fields.get("form", "")):
                    return await self._shown(visitor, cookie, problem="Please try again.", status=400)
                return await action(visitor, {**fields, "cookie": cookie})
            except (BadForm, OwnKeyRefused) as problem:
                return await self._shown(visitor, cookie, problem=str(problem), status=400)

        return take

    async def _add_key(self, visitor: Visitor, fields: Mapping[str, str]) -> Response:
        line, title = fields.get("key", ""), fields.get("title", "")
        await self._desk.bridge.auth(self._keys.add_ssh_key, visitor.user, line, title)
        return sent_to("/account")

    async def _revoke_key(self, visitor: Visitor, fields: Mapping[str, str]) -> Response:
        await self._desk.bridge.auth(self._keys.revoke_ssh_key, visitor.user, fields.get("id", ""))
        return sent_to("/account")

    async def _add_api_key(self, visitor: Visitor, fields: Mapping[str, str]) -> Response:
        days = fields.get("days", "")
        if not days.isascii() or not days.isdigit() or len(days) > 4:  # noqa: PLR2004 - as many digits as the most
            raise OwnKeyRefused("Say after how many days the key ends.")
        read_only = fields.get("read_only") == "on"

        def make() -> str:
            made = self._keys.add_api_key(visitor.user, fields.get("title", ""), int(days), read_only=read_only)
            return made.token.reveal()

        secret = await self._desk.bridge.auth(make)
        return await self._shown(visitor, fields["cookie"], secret=secret)

    async def _revoke_api_key(self, visitor: Visitor, fields: Mapping[str, str]) -> Response:
        await self._desk.bridge.auth(self._keys.revoke_api_key, visitor.user, fields.get("id", ""))
        return sent_to("/account")

    async def _end_session(self, visitor: Visitor, fields: Mapping[str, str]) -> Response:
        def end() -> None:
            store = self._desk.services.store
            row = store.sessions.by_id(fields.get("id", ""))
            if row is None or row.user_id != visitor.user.id:
                raise OwnKeyRefused("There is no such session.")
            cut_session(store, row, actor=visitor.user.name, reason="ended_by_user", now=time.time())

        await self._desk.bridge.auth(end)
        return sent_to("/account")

    async def _shown(
        self, visitor: Visitor, cookie: str, *, problem: str = "", secret: str = "", status: int = 200
    ) -> Response:
        values = await self._desk.bridge.auth(self._values, visitor)
        told = {"form": cookies.form_token(cookie), "problem": problem, "secret": secret, "message": ""}
        return self._desk.pages.page("account.html", values | told, status)

    def _values(self, visitor: Visitor) -> dict[str, object]:
        store, user, now = self._desk.services.store, visitor.user, time.time()
        settings = self._desk.services.settings.portal
        live = store.sessions.live_of(user.id)
        return {
            "user": user,
            "signs_in": f"{user.method} ({user.provider})" if user.provider else str(user.method),
            "groups": sorted(group.name for group in store.users.groups_of(user.id)),
            "ways": sorted(user.protocols) or list(WAYS_IN),
            "own_keys": settings.own_keys and not user.break_glass,
            "max_days": settings.own_api_key_days,
            "keys": [
                {"id": key.id, "title": key.title, "fingerprint": key.fingerprint, "when": _when(key)}
                for key in store.credentials.ssh_keys_of(user.id)
                if _is_live(key, now)
            ],
            "api_keys": [
                {"id": key.id, "title": key.title, "scope": _scope(key), "when": _when(key)}
                for key in store.credentials.api_keys_of(user.id)
                if _is_live(key, now)
            ],
            "sessions": [
                {
                    "id": row.id,
                    "front_end": row.front_end,
                    "peer": row.peer,
                    "when": f"since {_moment(row.opened_at)}",
                    "is_this": row.id == visitor.session.id,
                }
                for row in live
            ],
        }


def _is_live(key: SshKey | ApiKey, now: float) -> bool:
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def _when(key: SshKey | ApiKey) -> str:
    used = f"last used {_moment(key.last_used_at)}" if key.last_used_at else "never used"
    return f"{used}, ends {_moment(key.expires_at)}" if key.expires_at else used


def _scope(key: ApiKey) -> str:
    ways = ", ".join(sorted(key.protocols)) or "all ways in"
    return f"{ways}, read only" if key.read_only else ways


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
