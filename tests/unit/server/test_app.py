"""The composition root: the site's sign-in rules reach what they are about."""

from __future__ import annotations

import pytest

from auth_backends.passwords import HasherBusy, PasswordHasher
from config.settings import Settings
from server import app
from storage.database.store import Store


def test_at_most_as_many_hashes_run_at_once_as_the_site_allows(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``auth.password_concurrency`` bounds the one hasher of a worker; the third of three has to wait for its turn."""
    made: list[PasswordHasher] = []

    def hasher(*, concurrency: int) -> PasswordHasher:
        made.append(PasswordHasher(concurrency=concurrency, wait_s=0.01))
        return made[-1]

    monkeypatch.setattr(app, "PasswordHasher", hasher)
    app.build_broker(sqlite_store, Settings.model_validate({"auth": {"password_concurrency": 2}}))
    (one,) = made
    with one._turn(), one._turn(), pytest.raises(HasherBusy):
        one.spend()
