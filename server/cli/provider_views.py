"""Providers, their roles and the steps of a test, as commands show them: no secret, and stable field names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from config.fields import leaves
from config.ldap import LdapProvider
from server.cli.context import Site
from server.cli.output import cell, moment
from server.cli.views import View
from server.providers import LDAP, Listed
from storage.database.records import Method, RoleMapping
from storage.database.sync_log import SyncRun

if TYPE_CHECKING:
    from auth_backends.ldap.check import Stage

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
COLUMNS = ("name", "origin", "vendor", "hosts", "base_dn", "users", "last_run", "last_run_at", "problem")


def settings_view(provider: LdapProvider) -> View:
    """Show every setting under the name that it has in the TOML file; secrets are masked."""
    own = [leaf for leaf in leaves() if leaf.path[0] == LDAP]
    return {leaf.path[-1]: leaf.shown(getattr(provider, leaf.path[-1])) for leaf in own}


def list_view(listed: Listed, users: int, last: SyncRun | None) -> View:
    """Show a provider as one of many."""
    provider = listed.provider
    return {
        "name": listed.name,
        "kind": LDAP,
        "origin": listed.origin.value,
        "vendor": None if provider is None else provider.vendor.value,
        "hosts": [] if provider is None else list(provider.hosts),
        "base_dn": None if provider is None else provider.base_dn,
        "users": users,
        "last_run": None if last is None else last.outcome.value,
        "last_run_at": None if last is None else moment(last.started_at),
        "problem": listed.problem,
    }


def users_by_provider(site: Site) -> Counter[str | None]:
    """Count the ldap users of each provider, of any status."""
    return Counter(user.provider for user in site.store.users.list(method=Method.LDAP))


def last_run(site: Site, name: str) -> SyncRun | None:
    """Give the newest run of a provider's sync, or None."""
    return next(iter(site.store.syncs.runs(name, limit=1)), None)


def role_view(mapping: RoleMapping) -> View:
    """Show a role that a group of the directory gives."""
    return {
        "group": mapping.group_name,
        "external_id": mapping.external_id,
        "role": mapping.role.value,
        "confirmed_by": mapping.confirmed_by,
        "confirmed_at": moment(mapping.confirmed_at),
    }


def stage_view(stage: Stage) -> View:
    """Show a step of the test."""
    return {
        "name": stage.name,
        "ok": stage.ok,
        "outcome": stage.outcome.value,
        "host": stage.host,
        "detail": stage.detail,
        "advice": stage.advice,
    }


def stage_lines(stage: Stage) -> list[str]:
    """Show a step of the test to a person: a line, and one more for what to do."""
    host = f"{stage.host}: " if stage.host else ""
    lines = [f"{_MARKS[stage.outcome.value]}  {stage.name:<22} {cell(host + stage.detail)}"]
    return [*lines, f"      {'':<22} -> {cell(stage.advice)}"] if stage.advice else lines
