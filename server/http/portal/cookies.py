"""The portal's two cookies.

``__Host-`` (RFC 6265bis section 4.1.3.2) ties a cookie to this host over HTTPS. The session's is Lax: other sites
cannot post with it. The flow's is None: the answer of a SAML provider is a form that its page posts here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from starlette.requests import Request
from starlette.responses import Response

SESSION = "__Host-qm_session"
BROWSER = "__Host-qm_browser"
BROWSER_BYTES = 32
BROWSER_S = 30 * 86_400
"""So long that the tabs of a browser, opened again together, bind their sign-ins to one cookie, not each to its own."""
MAX_COOKIE = 100


def session_of(request: Request) -> str | None:
    """Give the session's cookie, if it can be one."""
    return _short(request.cookies.get(SESSION))


def set_session(response: Response, cookie: str) -> None:
    """Give a session to the browser, until it is closed."""
    response.set_cookie(SESSION, cookie, secure=True, httponly=True, samesite="lax", path="/")


def forget_session(response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(SESSION, secure=True, httponly=True, samesite="lax", path="/")


def browser_of(request: Request) -> str:
    """Give the cookie that sign-ins are bound to, empty if the browser has none."""
    return _short(request.cookies.get(BROWSER)) or ""


def new_browser() -> str:
    """Make such a cookie: 256 random bits."""
    return secrets.token_urlsafe(BROWSER_BYTES)


def set_browser(response: Response, cookie: str) -> None:
    """Bind the sign-ins that begin now to this browser."""
    response.set_cookie(BROWSER, cookie, max_age=BROWSER_S, secure=True, httponly=True, samesite="none", path="/")


def form_token(cookie: str) -> str:
    """Give the token that forms of this session or browser must bring back (cross-site request forgery)."""
    return hmac.new(cookie.encode(), b"quaymaster form", hashlib.sha256).hexdigest()


def is_form_token(cookie: str, token: str) -> bool:
    """Whether a form came from a page that was made for this cookie."""
    return bool(cookie) and hmac.compare_digest(form_token(cookie).encode(), token.encode("utf-8", "replace"))


def _short(cookie: str | None) -> str | None:
    return cookie if cookie and len(cookie) <= MAX_COOKIE and cookie.isascii() else None
