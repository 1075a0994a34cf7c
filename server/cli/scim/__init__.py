"""``quaymaster scim``: what an identity provider's client may do, has done, and waits for."""

from server.cli.scim.commands import app

__all__ = ["app"]
