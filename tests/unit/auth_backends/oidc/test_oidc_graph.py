"""Groups of who has too many for a token, asked of a stand-in for Microsoft Graph with our own application's token."""

from __future__ import annotations

import json

import pytest

from auth_backends.oidc.graph import GraphGroups
from auth_backends.oidc.relying_party import OidcRelyingParty
from tests.support.oidc_provider_double import OBJECT_ID, TENANT
from tests.support.oidc_site import Site

ASKED = f"/v1.0/users/{OBJECT_ID}/getMemberObjects"
GROUPS = ["aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"]
OVERAGE = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.windows.net/x"}}}


@pytest.fixture
def asking(entra: Site) -> Site:
    """A tenant whose tokens are too small for the groups, and a relying party that may ask Graph."""
    graph = GraphGroups(entra.client, entra.fetcher, entra.clock, base_url=entra.provider.issuer)
    entra.party = OidcRelyingParty(entra.client, entra.fetcher, entra.clock, graph=graph)
    entra.provider.groups = GROUPS
    entra.altered(**OVERAGE)
    return entra


def test_groups_come_from_graph_when_the_token_has_no_room(asking: Site) -> None:
    """By the person's oid, with a token for our own application."""
    verified = asking.sign_in()

    assert verified.person.groups == frozenset(GROUPS)
    assert asking.provider.graph_requests == [(ASKED, "Bearer for-graph")]
    (own,) = [one for one in asking.provider.token_requests if one["grant_type"] == "client_credentials"]
    assert own["scope"] == "https://graph.microsoft.com/.default"
    assert verified.checks[-1].passed


def test_graph_is_not_asked_when_the_token_says_the_groups(asking: Site) -> None:
    """Nor when it says nothing of groups."""
    for groups in (["g1"], None):
        asking.altered(groups=groups)
        asking.sign_in()

    assert asking.provider.graph_requests == []


def test_without_graph_the_groups_stay_unknown(entra: Site) -> None:
    """Nothing is concluded from an overage (O16)."""
    entra.altered(**OVERAGE)

    verified = entra.sign_in()

    assert (verified.person.groups, verified.groups_overage) == (None, True)
    assert entra.provider.graph_requests == []


def test_our_own_token_is_used_again_until_it_is_about_to_run_out(asking: Site) -> None:
    """It is asked for once an hour, not for each person."""

    def own_tokens() -> int:
        return sum(one["grant_type"] == "client_credentials" for one in asking.provider.token_requests)

    asking.sign_in()
    asking.sign_in()
    assert own_tokens() == 1
    asking.clock.now += 3500

    asking.sign_in()

    assert own_tokens() == 2


def test_a_token_that_graph_refuses_is_not_used_again(asking: Site) -> None:
    """It was revoked, or the application lost its permission for a while."""
    asking.sign_in()
    asking.provider.answers[ASKED] = (401, {}, b"{}")
    assert asking.sign_in().person.groups is None
    asking.provider.answers.clear()
    before = len(asking.provider.token_requests)

    assert asking.sign_in().person.groups == frozenset(GROUPS)
    assert [one["grant_type"] for one in asking.provider.token_requests[before:]] == [
        "authorization_code",
        "client_credentials",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        (403, {"error": "Authorization_RequestDenied"}),
        (400, {"error": "Directory_ResultSizeLimitExceeded"}),
        (500, {}),
        (200, {}),
        (200, {"value": None}),
        (200, {"value": ["g", 7]}),
        (200, {"value": ["g", ""]}),
        (200, {"value": ["g"], "@odata.nextLink": "https://graph.microsoft.com/next"}),
        (302, {}),
    ],
)
def test_whatever_goes_wrong_the_groups_are_unknown(asking: Site, answer: tuple[int, dict[str, object]]) -> None:
    """The person signs in; part of a list would take groups away that they have."""
    status, document = answer
    asking.provider.answers[ASKED] = (status, {}, json.dumps(document).encode())

    verified = asking.sign_in()

    assert verified.person.groups is None
    assert (verified.checks[-1].name, verified.checks[-1].passed) == ("groups by Graph", False)


@pytest.mark.parametrize("answer", [{}, {"access_token": 7, "expires_in": 3600}, {"access_token": "x"}])
def test_without_a_token_of_our_own_the_groups_are_unknown(asking: Site, answer: dict[str, object]) -> None:
    """As when the secret ran out between two requests."""
    discovery = asking.party.refresh()
    asking.provider.answers["/token"] = (200, {}, json.dumps(answer).encode())
    graph = GraphGroups(asking.client, asking.fetcher, asking.clock, base_url=asking.provider.issuer)

    assert graph.groups(discovery, OBJECT_ID) is None
    assert asking.provider.graph_requests == []


@pytest.mark.parametrize("subject", ["", "me", f"{OBJECT_ID}/../../applications", "a" * 300])
def test_only_object_ids_are_asked_about(asking: Site, subject: str) -> None:
    """A subject never becomes another address."""
    discovery = asking.party.refresh()
    graph = GraphGroups(asking.client, asking.fetcher, asking.clock, base_url=asking.provider.issuer)

    assert graph.groups(discovery, subject) is None
    assert asking.provider.token_requests == []
    assert TENANT in asking.provider.issuer
