"""What clients of SCIM 1.1 send, in OneLogin's templates, means what it says."""

from __future__ import annotations

import pytest

from server.http.scim.bodies.documents import user_document
from server.http.scim.bodies.group_changes import group_patched
from server.http.scim.errors import ScimError
from storage.database.scim_changes import AddMembers, RemoveMembers

CORE_11 = "urn:scim:schemas:core:1.0"
ENTERPRISE_11 = "urn:scim:schemas:extension:enterprise:1.0"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_members_join_and_leave() -> None:
    """A member joins, unless it is marked as deleted; other attributes are replaced."""
    members = [{"value": "a"}, {"value": "b", "operation": "delete"}, {"value": "c", "operation": "add"}]

    delta = group_patched({"schemas": [CORE_11], "displayName": "Guides", "members": members})

    assert delta.display_name == "Guides"
    assert delta.steps == (RemoveMembers(("b",)), AddMembers(("a", "c")))


@pytest.mark.parametrize(
    "body",
    [
        {"members": [{"value": "a", "operation": "delete"}]},
        {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "members": []},
        {"schemas": [CORE_11], "Operations": []},
        {"schemas": [CORE_11], "members": [{"operation": "delete"}]},
    ],
)
def test_what_does_not_say_so_is_no_patch(body: object) -> None:
    """Without the schema of 1.1 a body without operations is refused, and so is a member without an id."""
    with pytest.raises(ScimError) as refused:
        group_patched(body)

    assert refused.value.status == 400


def test_the_enterprise_extension() -> None:
    """Its old name and the old name of the manager's id are understood."""
    extension = {"department": "Laboratory", "manager": {"managerId": "m1", "displayName": "Priya"}}

    document, ignored = user_document({"schemas": [CORE_11], "userName": "x", ENTERPRISE_11: extension})

    assert document[ENTERPRISE] == {"department": "Laboratory", "manager": {"value": "m1"}}
    assert ignored == ("manager.displayName",)
