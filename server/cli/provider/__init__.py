"""``quaymaster provider``: directories and identity providers, their settings, tests and set-up guides."""

from server.cli.provider.commands import app

__all__ = ["app"]
