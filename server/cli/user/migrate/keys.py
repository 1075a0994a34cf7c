"""What keys are worth to somebody whose password ends: where they open, and where only in part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from storage.database.migrations_log import LiveKeys
from storage.database.records import ApiKey, SshKey
from storage.database.store import Store

SFTP = "sftp"


def opens(keys: LiveKeys, front_end: str) -> bool:
    """Whether one of these keys lets the user in there."""
    by_ssh = front_end == SFTP and keys.ssh > 0
    return by_ssh or any(not scope or front_end in scope for scope in keys.apikeys)


def key_notes(store: Store, user_id: str, used: Collection[str], now: float) -> list[str]:
    """Tell where a password was used and every key is good for less than that. Raises StoreUnavailable."""
    ssh = [key for key in store.credentials.ssh_keys_of(user_id) if _is_live(key, now)]
    api = [key for key in store.credentials.api_keys_of(user_id) if _is_live(key, now)]
    narrowed: dict[str, list[str]] = defaultdict(list)
    closed = False
    for place in sorted(used):
        there: list[SshKey | ApiKey] = [key for key in api if not key.protocols or place in key.protocols]
        there += ssh if place == SFTP else []
        limits = [_limits(key) for key in there]
        if limits and all(limits):
            narrowed[", ".join(sorted(set().union(*limits)))].append(place)
        closed = closed or not there
    notes = [f"the only keys for {', '.join(places)} are narrowed: {limits}" for limits, places in narrowed.items()]
    if closed and api:
        notes.append(f"the API keys are narrowed to {', '.join(sorted(_protocols(api)))}")
    return notes


def _limits(key: SshKey | ApiKey) -> set[str]:
    """Name what narrows a key."""
    has = {"read-only": key.read_only, "networks": bool(key.networks)}
    if isinstance(key, ApiKey):
        has |= {"paths": bool(key.path_prefixes), "protocols": bool(key.protocols)}
    return {limit for limit, is_set in has.items() if is_set}


def _protocols(keys: Iterable[ApiKey]) -> set[str]:
    return set().union(*(key.protocols for key in keys))


def _is_live(key: SshKey | ApiKey, now: float) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
