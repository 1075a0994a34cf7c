"""The public conformance tester, and what identity providers are known to send, against the running server."""

from __future__ import annotations

import json
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from server.http.scim.recordings import sequences
from server.http.scim.recordings.sequences import PlayedAnswer, PlayedRequest
from storage.database.store import Store
from tests.support.scim_client import ScimHttp, add_provider, issue_token
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system

LEAST_CHECKS = 100
DOMAIN = "contoso.example"  # of the people in the recorded stories


def test_the_conformance_tester_finds_nothing(scim_server: QuaymasterServer) -> None:
    """scim2-tester: every check of discovery, users, groups, searches and PATCH succeeds."""
    add_provider(scim_server.store, "tester", max_disabled_count=1000)
    _, token = issue_token(scim_server.store, "tester")
    context = ssl.create_default_context(cafile=str(scim_server.certificate))
    base = f"https://127.0.0.1:{scim_server.http_port}/scim/v2"
    with httpx2.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, verify=context) as connection:
        client = SyncSCIMClient(connection)
        client.discover()
        results = check_server(client)

    assert [f"{one.title}: {one.reason}" for one in results if one.status is not Status.SUCCESS] == []
    assert len(results) >= LEAST_CHECKS


@pytest.mark.parametrize("name", sequences.names())
def test_recorded_requests_get_their_answers(name: str, scim_server: QuaymasterServer) -> None:
    """Each client's story, step by step over HTTPS, and in the end the rows are as they must be."""
    provider, played = played_on(scim_server, name)
    users, groups = rows(scim_server.store, provider)

    assert [str(mismatch) for mismatch in played.mismatches] == []
    assert sequences.end_mismatches(sequences.load(name).end, played.saved, users, groups) == []


def test_both_dialects_of_entra_leave_the_same_rows(scim_server: QuaymasterServer) -> None:
    """The whole documents, the accounts and the memberships, not only what the story names."""
    found = []
    for name in ("entra", "entra-scim-compliant"):
        provider, played = played_on(scim_server, name)
        ids = {value: key for key, value in played.saved.items()}
        found.append(_without_ids(everything(scim_server.store, provider), ids))

    assert found[0] == found[1]
    assert found[0]


def played_on(server: QuaymasterServer, name: str) -> tuple[str, sequences.Playback]:
    """Play a story for a provider of its own, whose people have a domain of its own: login names are unique."""
    provider = f"p{uuid.uuid4().hex[:8]}"
    add_provider(server.store, provider, max_disabled_count=1000)
    with ScimHttp(server, issue_token(server.store, provider)[1]) as client:

        def send(request: PlayedRequest) -> PlayedAnswer:
            path, body = _replaced([request.path, request.body], DOMAIN, f"{provider}.example")
            answer = client.play(replace(request, path=path, body=body))
            return replace(answer, body=_replaced(answer.body, f"{provider}.example", DOMAIN))

        return provider, sequences.run(sequences.load(name), send)


def rows(store: Store, provider: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Give what the client finds: documents by userName, and members' userNames by a group's displayName."""
    people = {person.user_id: person for person in store.scim_people.everybody(provider)}
    users = {str(person.document["userName"]): person.document for person in people.values()}
    groups: dict[str, list[str]] = {
        group.display_name: [
            str(people[member].document["userName"]) for member, _ in store.scim_groups.members(group.group_id)
        ]
        for group in store.scim_groups.all(provider)
    }
    domain = f"{provider}.example"
    return _replaced(users, domain, DOMAIN), _replaced(groups, domain, DOMAIN)


def everything(store: Store, provider: str) -> dict[str, Any]:
    """Give all that is kept of a provider's people and groups but times and versions."""
    users, groups = rows(store, provider)
    accounts = {
        user.id: (user.name, user.status.value, user.display_name, user.email, user.role.value)
        for user in store.users.list(provider=provider)
    }
    found = {"users": users, "groups": groups, "accounts": sorted(accounts.values())}
    return _replaced(found, f"{provider}.example", DOMAIN)


def _replaced(value: Any, old: str, new: str) -> Any:
    text = json.dumps(value)
    for spelled in (str.lower, str.upper, str.capitalize, str.title):  # clients change the case between two requests
        text = text.replace(spelled(old), spelled(new))
    return json.loads(text)


def _without_ids(value: Any, ids: Mapping[str, str]) -> Any:
    """Put names in place of ids, which differ from one run to the other."""
    text = json.dumps(value)
    for known, name in ids.items():
        text = text.replace(known, name)
    return json.loads(text)
