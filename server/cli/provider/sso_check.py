"""The staged test of an identity provider: what its SCIM client does here, as nothing can be asked there."""

from __future__ import annotations

from collections.abc import Iterator

from server.cli.checks.check import Check, fail, ok, warn
from server.cli.checks.scim import (
    check_conflicts,
    check_failures,
    check_held,
    check_last_request,
    check_tokens,
    is_set_up,
)
from server.cli.checks.scim_people import check_people, check_roles
from server.providers import ListedSso
from storage.database.store import Store


def check_identity_provider(store: Store, listed: ListedSso) -> Iterator[Check]:
    """Look at everything that provisioning needs, and give each step as it ends."""
    name, provider = listed.name, listed.provider
    if provider is None:
        yield fail("settings", listed.problem, f"correct them: quaymaster provider set {name}")
        return
    if provider.signs_in and not is_set_up(store, name):  # a site may do without, and must know what that means
        how = "come by signing in" if provider.jit else "are made and linked by an admin"
        yield ok("settings", f"users sign in by {provider.method}, and {how}")
        yield warn(
            "leavers",
            "nobody tells us of them: their keys work until an admin disables them here",
            f"let the provider tell us by SCIM: quaymaster scim show {name}",
        )
        return
    yield ok("settings", f"users sign in by {provider.method}, and come and go by SCIM")
    yield check_tokens(store, name)
    yield check_last_request(store, name)
    yield check_failures(store, name)
    yield from check_people(store, name)
    yield check_held(store, name)
    yield check_conflicts(store, name)
    yield check_roles(store, name)
