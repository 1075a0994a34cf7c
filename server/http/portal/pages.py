"""Pages and their headers: no script, nothing from elsewhere, nothing kept by caches, no frame around them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

TEMPLATES = Path(__file__).with_name("templates")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # "no-referrer" would have browsers say "Origin: null" of our own forms, too
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Pages:
    """Makes responses of templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def page(self, name: str, values: Mapping[str, object], status: int = 200) -> Response:
        """Give a page."""
        return HTMLResponse(self._environment.get_template(name).render(**values), status, HEADERS)

    def stylesheet(self) -> Response:
        """Give the one style sheet."""
        style = (TEMPLATES / "portal.css").read_text(encoding="utf-8")
        kept = HEADERS | {"Cache-Control": "max-age=3600"}
        return Response(style, 200, kept, media_type="text/css")


def sent_to(address: str) -> Response:
    """Send the browser to another address by GET (RFC 9110 section 15.4.4)."""
    return RedirectResponse(address, 303, HEADERS)
