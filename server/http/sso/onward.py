"""How a browser goes on to a provider that wants a form posted: by a button, as no page here has a script."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.responses import Response

from auth_backends.sso import Form
from server.http.portal.pages import Pages, sent_to

_TO_US = "form-action 'self'"
_PLAIN = re.compile(r"[A-Za-z0-9.\[\]:-]+", re.ASCII)
WORDS = "You are signed out here. Continue, so that your sign-in service hears of it."


def onward(pages: Pages, where: str | Form) -> Response:
    """Send the browser to an address, or give a page whose one form is for the provider.

    Of the page's rules one is other than everywhere: a form may go to that provider, too.
    """
    if isinstance(where, str):
        return sent_to(where)
    response = pages.page("onward.html", {"form": where, "words": WORDS})
    policy = response.headers["Content-Security-Policy"]
    response.headers["Content-Security-Policy"] = policy.replace(_TO_US, f"{_TO_US} {_origin(where.address)}")
    return response


def _origin(address: str) -> str:
    """Give an address's scheme, host and port, or nothing where these would say more than that in a policy."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if _PLAIN.fullmatch(parts.netloc) else ""
