"""``quaymaster user``: people, their links, their one-time codes, and moves to another provider."""

from server.cli.user.commands import app

__all__ = ["app"]
