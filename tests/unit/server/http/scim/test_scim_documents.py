"""Whole users: whatever spelling an identity provider uses, one document comes of it, or a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.http.scim.attributes import ENTERPRISE, MISTYPED_ENTERPRISE, USER
from server.http.scim.bodies import documents, values
from server.http.scim.bodies.documents import replaced_user, user_document
from server.http.scim.errors import ScimError

CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"

ENTRA_CREATE: dict[str, Any] = {
    "schemas": [USER, MISTYPED_ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1",
    "active": True,
    "addresses": None,
    "displayName": "lennay",
    "emails": [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
    "roles": [],
    "title": None,
    "department": None,
    "manager": None,
    MISTYPED_ENTERPRISE: {"department": "Dock", "manager": {"value": "m-1", "$ref": "../Users/m-1"}},
}


def user(**attributes: Any) -> dict[str, Any]:
    """A user's body with these attributes."""
    return {"userName": "a@b.test", **attributes}


def kept(**attributes: Any) -> dict[str, Any]:
    """The document of a user with these attributes, without those that every test user has."""
    document, _ = user_document(user(**attributes))
    return {name: value for name, value in document.items() if name not in {"userName", "active"}}


def refusal(body: object) -> ScimError:
    """The refusal of a POST with this body."""
    with pytest.raises(ScimError) as refused:
        user_document(body)
    return refused.value


def test_entras_create_becomes_a_document() -> None:
    """Nulls, empty lists, client-sent meta and the mistyped URN of Entra's sample all find their place."""
    document, ignored = user_document(ENTRA_CREATE)

    assert document == {
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1",
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "displayName": "lennay",
        "active": True,
        "emails": [{"value": "Test_User_fd0ea19b@testuser.com", "type": "work", "primary": True}],
        ENTERPRISE: {"department": "Dock", "manager": {"value": "m-1"}},
    }
    assert ignored == ("meta",)


def test_spelling_and_order_do_not_matter() -> None:
    """Two bodies that say the same in other cases and orders make the same text."""
    lower = {key.lower(): value for key, value in reversed(ENTRA_CREATE.items())}
    lower["name"] = {"GIVENNAME": "givenName", "familyname": "familyName", "Formatted": "givenName familyName"}

    assert json.dumps(user_document(ENTRA_CREATE)[0]) == json.dumps(user_document(lower)[0])


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(True, True), (False, False), ("True", True), ("False", False), ("true", True), ("fALSE", False)],
)
def test_documented_booleans(sent: object, expected: bool) -> None:  # noqa: FBT001 -- a parameter of pytest
    """C9: true and false, and Entra's words for them, are what they say."""
    document, _ = user_document(user(active=sent))

    assert document["active"] is expected


@pytest.mark.parametrize("sent", [0, 1, 0.0, "no", "yes", "0", "1", "", " true", "Fals\u0435", [], {}, [True], [False]])
def test_other_booleans_are_refused(sent: object) -> None:
    """C9: what is no documented boolean is refused, for a user and for a mark, and never taken for true."""
    assert refusal(user(active=sent)).scim_type == "invalidValue"
    assert refusal(user(emails=[{"value": "x", "primary": sent}])).scim_type == "invalidValue"
    with pytest.raises(ScimError):
        replaced_user({"userName": "a", "active": False}, user(active=sent))


def test_a_create_that_does_not_say_is_active() -> None:
    """Without active, or with null, a new user is active."""
    assert [user_document(body)[0]["active"] for body in (user(), user(active=None))] == [True, True]


def test_mass_assignment() -> None:
    """C1: what the server assigns, or what nobody may, is not in the document and is reported."""
    document, ignored = user_document(
        user(id="1", meta={"version": "x"}, groups=[{"value": "admins"}], isAdmin=True, authMethod="local", homeDir="/")
    )

    assert document == {"userName": "a@b.test", "active": True}
    assert ignored == ("id", "meta", "groups", "isAdmin", "authMethod", "homeDir")


def test_a_password_never_survives() -> None:
    """A password is in no part of a document, whatever the case and however deep in an extension."""
    secret = "hunter2-hunter2"
    document, ignored = user_document(
        {
            **user(password=secret, PassWord=secret, emails=[{"value": "x", "password": secret}]),
            CUSTOM: {"tag": "t", "Password": secret, "deep": [{"a": {" PASSWORD ": secret, "x.password": secret}}]},
            f"{CUSTOM}:password": secret,
            "urn:x:password": {"value": secret},
            ENTERPRISE: {"password": secret},
        }
    )

    assert secret not in json.dumps(document)
    assert {name: document[name] for name in document if name not in {"userName", "active"}} == {
        CUSTOM: {"tag": "t"},
        "emails": [{"value": "x"}],
    }
    assert {"password", "emails.password"} == set(ignored)


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "a\x1bb", "a\x7fb", "a\x85b", "a\ud800b", "x" * 1025])
def test_texts_that_are_refused(text: str) -> None:
    """Control characters, halves of surrogate pairs and overlong texts are refused in a name and in an entry."""
    assert refusal(user(displayName=text)).scim_type == "invalidValue"
    assert refusal(user(roles=[{"value": text}])).scim_type == "invalidValue"
    assert refusal(user(userName=text)).scim_type == "invalidValue"


def test_texts_are_kept_as_sent() -> None:
    """Nothing is reformatted: not a telephone number, not an address with lines, not white space inside or around."""
    attributes = {
        "title": "  Größe 🚢 ",
        "emails": [{"value": "no address"}],
        "phoneNumbers": [{"value": "+1 (555) 0-100", "type": "mobile"}],
        "addresses": [{"formatted": "1 Way\r\n\tHarbour"}],
    }

    assert attributes == kept(**attributes)


def test_whole_numbers_become_texts() -> None:
    """A number for a text is its digits; other types for a text are refused."""
    assert kept(**{ENTERPRISE: {"employeeNumber": 701984}}) == {ENTERPRISE: {"employeeNumber": "701984"}}
    for sent in (True, 1.5, [], {}, ["x"], 10**400):
        assert refusal(user(title=sent)).scim_type == "invalidValue"


@pytest.mark.parametrize("name", [None, "", " a", "a ", "a\u00a0", "\ta", True, ["a"]])
def test_a_user_needs_a_proper_name(name: object) -> None:
    """A user without userName, or with white space around it, is refused, by POST and by PUT."""
    assert refusal({"userName": name}).scim_type == "invalidValue"
    with pytest.raises(ScimError):
        replaced_user({"userName": "a", "active": True}, {"userName": name})


@pytest.mark.parametrize(
    "manager", [{"value": "m", "$ref": "x", "displayName": "M"}, [{"value": "m"}], "m", {"VALUE": "m"}, ["m"]]
)
def test_forms_of_a_manager(manager: object) -> None:
    """A manager in any form, below the URN or at the top, is kept by the id."""
    expected = {ENTERPRISE: {"manager": {"value": "m"}}}

    assert expected == kept(manager=manager)
    assert expected == kept(**{ENTERPRISE: {"manager": manager}})


@pytest.mark.parametrize("manager", [None, "", [], {}, {"value": ""}, {"value": None}, [{"value": None}], [None]])
def test_no_manager(manager: object) -> None:
    """Each of the ways to say that there is none leaves none."""
    assert kept(**{ENTERPRISE: {"manager": manager}}) == {}


def test_enterprise_attributes_at_the_top() -> None:
    """They move below their URN; what stands there already wins."""
    assert kept(department="wrong", COSTCENTER="1", **{ENTERPRISE.upper(): {"department": "right"}}) == {
        ENTERPRISE: {"costCenter": "1", "department": "right"}
    }


def test_an_enterprise_attribute_led_by_its_urn() -> None:
    """A flat key with the URN in front is that attribute."""
    assert kept(**{f"{ENTERPRISE}:Department": "d"}) == {ENTERPRISE: {"department": "d"}}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"value": "x", "type": "work"}, [{"value": "x", "type": "work"}]),
        ("x", [{"value": "x"}]),
        (["x", None, "y"], [{"value": "x"}, {"value": "y"}]),
        ([{"value": "x"}, {"value": "x"}], [{"value": "x"}]),
        (
            [{"value": "x", "type": "work"}, {"value": "y", "type": "work"}],
            [{"value": "x", "type": "work"}, {"value": "y", "type": "work"}],
        ),
        ([{"type": "work", "primary": True}, {"value": "x"}], [{"value": "x"}]),
        ([{"value": "x", "primary": "False"}], [{"value": "x", "primary": False}]),
    ],
)
def test_forms_of_entries(sent: object, expected: object) -> None:
    """One object, a text, and repetitions are read as the entries that are meant."""
    assert {"emails": expected} == kept(emails=sent)


@pytest.mark.parametrize(
    "sent",
    [
        [{"value": "x", "primary": True}, {"value": "y", "primary": "True"}],
        [{"value": "x", "Value": "y"}],
        [{"value": "x", "operation": "delete"}],
        [["x"]],
        [True],
        "\0",
        [{"value": str(number)} for number in range(201)],
    ],
)
def test_entries_that_are_refused(sent: object) -> None:
    """Two primary ones, a part twice, SCIM 1.1's deletion, other types and too many are refused."""
    assert refusal(user(emails=sent)).scim_type == "invalidValue"


def test_the_same_attribute_twice_is_refused() -> None:
    """Which of two spellings is meant is never guessed."""
    for body in (
        user(active=False, Active=True),
        user(username="other"),
        {**user(), ENTERPRISE: {"department": "a"}, MISTYPED_ENTERPRISE: {"Department": "b"}},
        {**user(), CUSTOM: {"tag": "a"}, CUSTOM.lower(): {"tag": "b"}},
    ):
        assert refusal(body).scim_type == "invalidValue"


def test_core_attributes_below_their_urn_are_refused() -> None:
    """A second place for active could hide what it says."""
    assert refusal({**user(), USER: {"active": False}}).scim_type == "invalidSyntax"
    assert refusal({**user(), f"{USER}:active": False}).scim_type == "invalidSyntax"


def test_unknown_extensions_are_kept_verbatim() -> None:
    """What is below an unknown URN comes back as it was sent, but for nulls and what is empty."""
    sent = {"Tag": "", "n": 1.5, "flag": False, "list": [1, "a", {"b": 0}], "none": None, "deep": {"a": []}}

    assert kept(**{CUSTOM: sent}) == {CUSTOM: {"Tag": "", "n": 1.5, "flag": False, "list": [1, "a", {"b": 0}]}}
    assert kept(**{f"{CUSTOM}:tag": "t"}) == {CUSTOM: {"tag": "t"}}


@pytest.mark.parametrize(
    "extension",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "\0"},
        {"a\0": 1},
        {"a": "\udfff"},
        {"a": 1 << 300},
        {"a": (1,)},
        {"a": list(range(values.MAX_LIST + 1))},
        {str(number): 1 for number in range(values.MAX_MEMBERS + 1)},
        [1],
    ],
)
def test_extensions_that_are_refused(extension: object) -> None:
    """What a database or JSON could not hold, and what is too much, is refused."""
    body = {**user(), CUSTOM: extension} if isinstance(extension, dict) else {**user(), "urn:x:y": extension}

    assert refusal(body).scim_type == "invalidValue"


def test_depth_of_extensions() -> None:
    """Sixteen levels are kept, seventeen are refused, and so is what nests thousands."""

    def nested(levels: int) -> dict[str, Any]:
        value: Any = "leaf"
        for _ in range(levels - 1):
            value = {"a": value}
        return {CUSTOM: value}

    assert nested(values.MAX_DEPTH) == kept(**nested(values.MAX_DEPTH))
    for levels in (values.MAX_DEPTH + 1, 5000):
        assert refusal({**user(), **nested(levels)}).scim_type == "invalidValue"


def test_size_of_a_document() -> None:
    """A document over 64 KiB is refused, and so are more extensions than anybody has."""
    assert refusal({**user(), CUSTOM: {"a": "x" * values.MAX_DOCUMENT}}).scim_type == "invalidValue"
    many = {f"urn:x:{number}": {"a": 1} for number in range(documents.MAX_ATTRIBUTES)}
    assert refusal({**user(), **many}).scim_type == "invalidValue"


def test_what_is_ignored_is_bounded() -> None:
    """Ten thousand unknown attributes leave fifty short names without control characters."""
    _, ignored = user_document(user(**{f"x{number}\n{'y' * 1000}": 1 for number in range(10_000)}))

    assert len(ignored) == 50
    assert {values.MAX_IGNORED_NAME} == {len(name) for name in ignored}
    assert ignored[0].isprintable()


@pytest.mark.parametrize("body", [None, [], "x", 1, [{"userName": "a"}]])
def test_a_body_that_is_no_object(body: object) -> None:
    """Anything but an object is invalid syntax."""
    assert (refusal(body).status, refusal(body).scim_type) == (400, "invalidSyntax")


@pytest.mark.parametrize("active", [True, False])
def test_a_put_without_active_leaves_it(active: bool) -> None:  # noqa: FBT001 -- a parameter of pytest
    """Okta's PUT of a profile neither ends nor revives a user; everything else is replaced."""
    present = {"userName": "old", "active": active, "title": "gone", CUSTOM: {"tag": "gone"}}

    for sent in (user(displayName="D"), user(displayName="D", active=None)):
        assert {"userName": "a@b.test", "displayName": "D", "active": active} == replaced_user(present, sent)[0]
    assert {"userName": "old", "active": active, "title": "gone", CUSTOM: {"tag": "gone"}} == present


def test_a_put_with_its_own_answer_changes_nothing() -> None:
    """Okta gets a user, merges and puts it back: id, meta, groups and schemas in it are no error."""
    document, _ = user_document(ENTRA_CREATE)
    answer = {**document, "id": "u-1", "schemas": [USER, ENTERPRISE], "meta": {"version": 'W/"1"'}, "groups": [{}]}

    assert document == replaced_user(document, answer)[0]


def test_a_refusal_says_no_value() -> None:
    """The detail names the attribute and not what the client sent."""
    error = refusal(user(active="s3cret"))

    assert error.body() == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "400",
        "scimType": "invalidValue",
        "detail": "active: is neither true nor false",
    }
