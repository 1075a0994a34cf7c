"""Users, groups and lists as clients see them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scim2_models import Context, EnterpriseUser, Group, ListResponse, User

from server.http.scim.attributes import ENTERPRISE, GROUP, USER
from server.http.scim.queries.paging import Page
from server.http.scim.rendering import (
    GroupRef,
    MemberRef,
    Meta,
    group_resource,
    list_response,
    user_resource,
)

BASE = "https://files.example/scim/v2"
CUSTOM = "urn:example:params:scim:schemas:extension:custom:2.0:User"
META = Meta(created=1_715_575_354.1239, modified=1_715_575_355.0, version=3)


def test_a_user() -> None:
    """A user has what its document says, its groups, and ``meta`` as the RFC wants it."""
    document = {"userName": "babs", "active": False, ENTERPRISE: {"department": "Tour"}, CUSTOM: {"tag": "x"}}

    assert user_resource("u1", document, [GroupRef("g1", "Guides"), GroupRef("g2", "")], META, BASE) == {
        "schemas": [USER, ENTERPRISE, CUSTOM],
        "id": "u1",
        "userName": "babs",
        "active": False,
        ENTERPRISE: {"department": "Tour"},
        CUSTOM: {"tag": "x"},
        "groups": [
            {"value": "g1", "$ref": f"{BASE}/Groups/g1", "display": "Guides", "type": "direct"},
            {"value": "g2", "$ref": f"{BASE}/Groups/g2", "type": "direct"},
        ],
        "meta": {
            "resourceType": "User",
            "created": "2024-05-13T04:42:34.123Z",
            "lastModified": "2024-05-13T04:42:35.000Z",
            "location": f"{BASE}/Users/u1",
            "version": 'W/"3"',
        },
    }


def test_a_group() -> None:
    """A group has its members with the place where each is found."""
    members = [MemberRef("u1"), MemberRef("u2")]

    group = group_resource("g1", {"displayName": "Guides", "externalId": "e"}, members, META, BASE)

    assert (group["schemas"], group["id"], group["displayName"], group["externalId"]) == ([GROUP], "g1", "Guides", "e")
    assert group["members"] == [
        {"value": "u1", "$ref": f"{BASE}/Users/u1", "type": "User"},
        {"value": "u2", "$ref": f"{BASE}/Users/u2", "type": "User"},
    ]
    assert (group["meta"]["resourceType"], group["meta"]["location"]) == ("Group", f"{BASE}/Groups/g1")


@pytest.mark.parametrize("members", [None, []])
def test_a_group_without_members(members: list[MemberRef] | None) -> None:
    """Members that were not read or do not exist are left out: nothing is null and no list is empty."""
    assert "members" not in group_resource("g1", {"displayName": "Guides"}, members, META, BASE)
    assert "groups" not in user_resource("u1", {"userName": "x", "active": True}, [], META, BASE)


def test_the_document_stays() -> None:
    """What comes in is not changed."""
    document: dict[str, Any] = {"userName": "babs", "active": True}
    user_resource("u1", document, [GroupRef("g1", "")], META, BASE)

    assert document == {"userName": "babs", "active": True}


def test_a_list() -> None:
    """A list says where it stands in the whole, and has its resources also if there are none."""
    assert list_response([{"id": "1"}], 7, Page(2, 1)) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 7,
        "startIndex": 3,
        "itemsPerPage": 1,
        "Resources": [{"id": "1"}],
    }
    nobody = list_response([], 0, Page(0, 100))
    assert (nobody["totalResults"], nobody["Resources"]) == (0, [])


def test_a_client_of_the_rfc_reads_them() -> None:
    """scim2-models takes both for valid responses."""
    user = user_resource(
        "u1",
        {"userName": "babs", "active": True, "emails": [{"value": "a@b.example", "type": "work"}]}
        | {ENTERPRISE: {"manager": {"value": "u9"}}},
        [GroupRef("g1", "Guides")],
        META,
        BASE,
    )
    group = group_resource("g1", {"displayName": "Guides"}, [MemberRef("u1")], META, BASE)
    answer = json.loads(json.dumps(list_response([user, group], 2, Page(0, 100))))

    read = ListResponse[User[EnterpriseUser] | Group].model_validate(answer, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)

    assert [each.id for each in read.resources or []] == ["u1", "g1"]
    assert read.resources[0].meta.last_modified.isoformat() == "2024-05-13T04:42:35+00:00"


def test_the_etag_is_the_version() -> None:
    """The header and ``meta.version`` say the same."""
    assert META.etag == 'W/"3"'
