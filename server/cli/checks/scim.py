"""Checks of an identity provider's SCIM client: its tokens, its requests, and what waits for an admin."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from auth_backends.scim_clients import ClientRefusal
from server.cli.checks.check import Check, Outcome, fail, ok, warn
from server.cli.output import moment
from server.providers import ListedSso
from server.scim_tokens_in_use import token_in_use
from storage.database.records import AuditEvent
from storage.database.scim_log import ScimRequestRow
from storage.database.scim_tokens import ScimToken
from storage.database.store import Store

DAY_S = 86_400.0
SOON_DAYS = 60
QUIET_S = 2 * DAY_S
NEWEST = 2000  # requests that are looked at: each row has its bodies
MANY_FAILURES = 0.05  # identity providers give up on a client at some share; Entra ID does at 40 %
FAILED = 400
SERVER_FAILED = 500
COUNTED_SHOWN = 3
REFUSED = "scim.client_refused"
REFUSALS = 20  # that are looked at
KNOWN_TOKEN = frozenset(
    {ClientRefusal.EXPIRED, ClientRefusal.REVOKED, ClientRefusal.WRONG_KIND, ClientRefusal.OTHER_PROVIDER}
)


def check_tokens(store: Store, provider: str) -> Check:
    """A token lets the client in, and the one that it uses does for a while."""
    now = time.time()
    live = [token for token in store.scim_tokens.list(provider) if token.is_live(now)]
    if not live:
        return fail(
            "tokens",
            "none is live: the client is not let in, so nobody comes and no leaver is ended",
            f"issue one: quaymaster scim token issue {provider}",
        )
    used, last = token_in_use(live), max(live, key=lambda token: token.expires_at)
    days = days_left(used, now)
    count = "1 is live" if len(live) == 1 else f"{len(live)} are live"
    if days > SOON_DAYS:
        return ok("tokens", f"{count}; {used.id} ends on {moment(used.expires_at)}, in {days} days")
    advice = f"quaymaster scim token rotate {provider}, or extend {used.id}"
    if last is not used:
        advice = f"put the newer token into the identity provider, {last.id}, which ends on {moment(last.expires_at)}"
    return warn("tokens", f"{used.id} is in use and ends on {moment(used.expires_at)}, in {days} days", advice)


def days_left(token: ScimToken, now: float) -> int:
    """Give the whole days that a token has left."""
    return max(0, int((token.expires_at - now) // DAY_S))


def check_last_request(store: Store, provider: str) -> Check:
    """The client has been heard lately, and was let in."""
    newest = next(iter(store.scim_log.tail(provider, limit=1)), None)
    refused = _last_refusal(store, provider, newest)
    if refused is not None:
        return warn(
            "requests",
            f"a client was not let in at {moment(refused.at)}, from {refused.peer}: {refused.reason}",
            "put a live token into the identity provider, whole and of the kind it was issued as: quaymaster scim "
            f"token list {provider}",
        )
    if newest is None:
        return warn(
            "requests",
            "nothing was heard from the client yet",
            f"enter its values at the identity provider and test the connection: quaymaster scim show {provider}",
        )
    told = f"the last one at {moment(newest.at)}: {newest.method} {newest.path}, answered {newest.status}"
    quiet_s = time.time() - newest.at
    if quiet_s > QUIET_S and _has_live_token(store, provider):
        return warn(
            "requests",
            f"{told}; nothing for {int(quiet_s // DAY_S)} days, so leavers are not ended",
            "see whether provisioning is stopped or in quarantine at the identity provider, and start it again",
        )
    return ok("requests", told)


def _last_refusal(store: Store, provider: str, newest: ScimRequestRow | None) -> AuditEvent | None:
    """Give how the client was turned away last, if it was not let in since.

    Once it was heard, only what held a right token counts: strangers may knock, too.
    """
    events = store.audit.tail(limit=REFUSALS, subject=f"provider:{provider}", kind=REFUSED)
    if newest is not None:
        events = [event for event in events if event.at > newest.at and event.reason in KNOWN_TOKEN]
    return events[-1] if events else None


def check_failures(store: Store, provider: str) -> Check:
    """Few requests of the last day were refused."""
    rows = store.scim_log.tail(provider, since=time.time() - DAY_S, limit=NEWEST)
    failed = [row for row in rows if row.status >= FAILED]
    if not failed:
        return ok("failures", f"none of {len(rows)} requests in the last day")
    kinds = Counter(row.status for row in failed).most_common(COUNTED_SHOWN)
    told = ", ".join(f"{count} times {status}" for status, count in kinds)
    share = len(failed) / len(rows)
    detail = f"{len(failed)} of {len(rows)} requests in the last day ({share:.0%}): {told}"
    if share < MANY_FAILURES and not any(row.status >= SERVER_FAILED for row in failed):
        return ok("failures", detail)
    return warn("failures", detail, f"see them: quaymaster scim log {provider} --failed --since 1d")


def check_held(store: Store, provider: str) -> Check:
    """No end of somebody's access waits for an admin."""
    held = store.scim_waiting.held(provider)
    if not held:
        return ok("held ends", "none")
    return warn(
        "held ends",
        f"{_counted(len(held), 'user')} whom the provider ended still let in: too many at once, since "
        f"{moment(min(one.since for one in held))}",
        f"see whom, then approve or dismiss: quaymaster scim held {provider}",
    )


def check_conflicts(store: Store, provider: str) -> Check:
    """Nobody's name or id is another user's."""
    conflicts = store.scim_waiting.conflicts(provider)
    if not conflicts:
        return ok("conflicts", "none")
    return warn(
        "conflicts",
        f"{_counted(len(conflicts), 'person', 'people')} cannot come: the name or id is another user's",
        f"see whose, and what to do: quaymaster scim conflicts {provider}",
    )


def check_client(store: Store, listed: ListedSso) -> Iterator[Check]:
    """Give what is wrong with a provider and its client under the provider's name, or that all is good."""
    name = f"provider {listed.name}"
    if listed.provider is None:
        yield fail(name, listed.problem, f"correct its settings: quaymaster provider set {listed.name}")
        return
    found = [
        _for_doctor(store, listed.name, check_tokens(store, listed.name)),
        _for_doctor(store, listed.name, check_last_request(store, listed.name)),
        check_held(store, listed.name),
        check_conflicts(store, listed.name),
    ]
    wrong = [replace(check, name=name) for check in found if check.outcome is not Outcome.OK]
    users = store.scim_people.count(listed.name)
    yield from wrong or [ok(name, f"{listed.origin}; {_counted(users, 'user')} by SCIM")]


def is_set_up(store: Store, provider: str) -> bool:
    """Whether the provider has a client: it got a token, or somebody has come from there."""
    return bool(store.scim_tokens.list(provider)) or store.scim_people.count(provider) > 0


def _for_doctor(store: Store, provider: str, check: Check) -> Check:
    """Leave alone what was never set up."""
    return check if is_set_up(store, provider) else ok(check.name, "not set up yet")


def _has_live_token(store: Store, provider: str) -> bool:
    now = time.time()
    return any(token.is_live(now) for token in store.scim_tokens.list(provider))


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
