"""Providers, their roles and the steps of a test, as commands show them: no secret, and stable field names."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from config.sections import Section
from server.cli.checks.check import Check, Outcome
from server.cli.context import Site
from server.cli.output import cell, moment
from server.cli.provider.settings import LDAP_KIND, SSO_KIND, ProviderKind
from server.cli.sync.views import run_view
from server.cli.views import View
from server.providers import LDAP, SSO, Listed, ListedSso, Origin
from storage.database.records import Method, RoleMapping
from storage.database.sync_log import SyncRun

if TYPE_CHECKING:
    from auth_backends.ldap.check import Stage

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
LDAP_COLUMNS = (
    *("name", "kind", "origin", "vendor", "hosts", "base_dn", "users", "last_run", "last_run_at", "problem"),
)
SSO_COLUMNS = ("name", "kind", "origin", "method", "users", "last_request_at", "live_tokens", "problem")
COLUMNS = (
    *("name", "kind", "origin", "method", "hosts", "users", "last_run", "last_run_at", "last_request_at"),
    *("live_tokens", "problem"),
)


def columns_for(rows: Iterable[View]) -> tuple[str, ...]:
    """Give the columns of a table of these providers: those that say nothing of their kinds are left out."""
    kinds = {row["kind"] for row in rows}
    return SSO_COLUMNS if kinds == {SSO} else LDAP_COLUMNS if kinds <= {LDAP} else COLUMNS


def list_views(site: Site) -> list[View]:
    """Show every provider as one of many."""
    users = users_by_provider(site)
    return [_list_view(site, listed, users) for listed in site.providers()]


def shown_view(site: Site, listed: Listed | ListedSso) -> View:
    """Show one provider with its settings, users and roles, and how its users have come here."""
    kind = kind_of(listed)
    settings = {} if listed.provider is None else settings_view(kind, listed.provider)
    hidden = listed.origin is Origin.FILE and site.store.providers.by_name(listed.name) is not None
    came: View
    match listed:
        case Listed():
            last = last_run(site, listed.name)
            came = {"last_run": None if last is None else run_view(last)}
        case ListedSso():
            came = client_view(site, listed.name)
    return {
        "name": listed.name,
        "kind": kind.name,
        "origin": listed.origin.value,
        "problem": "the database has a provider of this name too, and the file's counts" if hidden else listed.problem,
        "users": users_by_provider(site)[kind.name, listed.name],
        **settings,
        "roles": [role_view(mapping) for mapping in site.store.providers.roles(listed.name)],
        **came,
    }


def kind_of(listed: Listed | ListedSso) -> ProviderKind:
    """Give the kind of a provider."""
    return LDAP_KIND if isinstance(listed, Listed) else SSO_KIND


def settings_view(kind: ProviderKind, provider: Section) -> View:
    """Show every setting under the name that it has in the TOML file; secrets are masked."""
    return {leaf.path[-1]: leaf.shown(getattr(provider, leaf.path[-1])) for leaf in kind.leaves()}


def client_view(site: Site, name: str) -> View:
    """Show what the SCIM client of a provider has brought, and what waits."""
    store, now = site.store, time.time()
    return {
        "last_request_at": moment(store.scim_log.last_at(name)),
        "live_tokens": sum(token.is_live(now) for token in store.scim_tokens.list(name)),
        "scim_users": store.scim_people.count(name),
        "scim_groups": store.scim_groups.count(name),
        "held_ends": len(store.scim_waiting.held(name)),
        "conflicts": len(store.scim_waiting.conflicts(name)),
    }


def users_by_provider(site: Site) -> Counter[tuple[str, str | None]]:
    """Count the users of each provider by its kind and name, of any status."""
    kinds = {Method.LDAP: LDAP, Method.SAML: SSO, Method.OIDC: SSO}
    return Counter((kinds[user.method], user.provider) for user in site.store.users.list() if user.method in kinds)


def last_run(site: Site, name: str) -> SyncRun | None:
    """Give the newest run of a provider's sync, or None."""
    return next(iter(site.store.syncs.runs(name, limit=1)), None)


def role_view(mapping: RoleMapping) -> View:
    """Show a role that a group of the provider gives."""
    return {
        "group": mapping.group_name,
        "external_id": mapping.external_id,
        "role": mapping.role.value,
        "confirmed_by": mapping.confirmed_by,
        "confirmed_at": moment(mapping.confirmed_at),
    }


def stage_view(stage: Stage | Check) -> View:
    """Show a step of the test; only a directory has hosts."""
    return {
        "name": stage.name,
        "ok": passes(stage),
        "outcome": stage.outcome.value,
        "host": _host(stage),
        "detail": stage.detail,
        "advice": stage.advice,
    }


def stage_lines(stage: Stage | Check) -> list[str]:
    """Show a step of the test to a person: a line, and one more for what to do."""
    host = f"{_host(stage)}: " if _host(stage) else ""
    lines = [f"{_MARKS[stage.outcome.value]}  {stage.name:<22} {cell(host + stage.detail)}"]
    return [*lines, f"      {'':<22} -> {cell(stage.advice)}"] if stage.advice else lines


def passes(stage: Stage | Check) -> bool:
    """Whether nothing in this step must be corrected."""
    return stage.outcome.value != Outcome.FAIL.value


def _host(stage: Stage | Check) -> str:
    return "" if isinstance(stage, Check) else stage.host


def _list_view(site: Site, listed: Listed | ListedSso, users: Counter[tuple[str, str | None]]) -> View:
    view: View = {
        "name": listed.name,
        "kind": kind_of(listed).name,
        "origin": listed.origin.value,
        "method": None,
        "vendor": None,
        "hosts": [],
        "base_dn": None,
        "users": users[kind_of(listed).name, listed.name],
        "last_run": None,
        "last_run_at": None,
        "last_request_at": None,
        "live_tokens": None,
        "problem": listed.problem,
    }
    match listed:
        case Listed(provider=provider):
            last = last_run(site, listed.name)
            view["method"] = Method.LDAP.value
            if provider is not None:
                view |= {"vendor": provider.vendor.value, "hosts": list(provider.hosts), "base_dn": provider.base_dn}
            if last is not None:
                view |= {"last_run": last.outcome.value, "last_run_at": moment(last.started_at)}
        case ListedSso(provider=provider):
            view["method"] = None if provider is None else provider.method.value
            client = client_view(site, listed.name)
            view |= {field: client[field] for field in ("last_request_at", "live_tokens")}
    return view
