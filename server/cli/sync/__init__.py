"""``quaymaster sync``: the sync of a directory, by hand and as it went."""

from server.cli.sync.commands import app

__all__ = ["app"]
