"""Log output."""

from __future__ import annotations

from server.runtime.logs import SECRET_FIELDS, mask_secrets


def test_fields_named_like_secrets_are_masked() -> None:
    """A secret that is passed to the log by mistake does not reach it."""
    event = dict.fromkeys(SECRET_FIELDS, "hunter2") | {"user": "ada"}
    masked = mask_secrets(None, "info", event)

    assert "hunter2" not in masked.values()
    assert masked["user"] == "ada"
