"""From an ASGI scope to the WSGI environ that the handlers read."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from server.http.listener import Scope
from server.webdav.request import KEY, DavRequest, Environ
from server.webdav.urls import MOUNT


def environ_of(scope: Scope, request: DavRequest, body: bytes = b"") -> Environ:
    """Build the environ. ``body`` is the whole of it, so its length is known also if it came chunked.

    Nothing comes from the process's own environment. Header names with an underscore are left out:
    they would pass for others.
    """
    method: str = scope["method"]
    path = "/" if request.path.is_root else str(request.path)
    environ: dict[str, Any] = {
        KEY: request,
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": MOUNT,
        "PATH_INFO": path,
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": scope["scheme"],
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue
        name = "HTTP_" + raw_name.decode("latin-1").upper().replace("-", "_")
        value = raw_value.decode("latin-1")
        environ[name] = f"{environ[name]}, {value}" if name in environ else value
    for name in ("HTTP_DEPTH", "HTTP_OVERWRITE"):
        if name in environ:
            environ[name] = environ[name].strip().lower() if name == "HTTP_DEPTH" else environ[name].strip().upper()
    return environ
