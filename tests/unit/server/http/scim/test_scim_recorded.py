"""The shipped sequences can be loaded, name their sources, and have every form of request that is known to be sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from server.http.scim.recordings.sequences import Sequence, Step, load, names

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ENTRA = ("entra", "entra-scim-compliant")
OKTA = ("okta-oin", "okta-put")

Form = Callable[[Step], bool]


def request(method: str, pattern: str, *, status: int | None = None) -> Form:
    """Recognise a step by its method, by its path and body as one text, and by what it must get."""

    def recognises(step: Step) -> bool:
        text = f"{step.path} {json.dumps(step.body, ensure_ascii=False)}"
        return (
            step.method == method and re.search(pattern, text) is not None and status in {None, *step.expect.statuses}
        )

    return recognises


def operation(op: str, path: str | None, value: object = ...) -> Form:
    """Recognise a PATCH with this operation: its name, its path (None: it has none) and, if given, its value."""

    def recognises(step: Step) -> bool:
        return any(
            (one["op"], one.get("path")) == (op, path) and value in (..., one.get("value")) for one in operations(step)
        )

    return recognises


def operations(step: Step) -> list[dict[str, Any]]:
    body = step.body
    return body.get("Operations", []) if isinstance(body, dict) and step.method == "PATCH" else []


def body_has(method: str, key: str, value: object = ...) -> Form:
    """Recognise a body with this key at its top, and this value if given."""

    def recognises(step: Step) -> bool:
        body = step.body
        return step.method == method and isinstance(body, dict) and key in body and value in (..., body[key])

    return recognises


def missing(sequence: Sequence, forms: dict[str, Form]) -> list[str]:
    return [form for form, recognises in forms.items() if not any(recognises(step) for step in sequence.steps)]


BOTH_DIALECTS: dict[str, Form] = {
    "test connection": request("GET", r"^/Users\?filter=userName eq \"[0-9a-f]{8}-[0-9a-f-]{27}\"", status=200),
    "filter by userName": request("GET", 'userName eq "'),
    "filter by externalId": request("GET", 'externalId eq "'),
    "filter by work e-mail": request("GET", r'emails\[type eq "work"\]\.value eq "'),
    "filter without quotes": request("GET", r"externalId eq chenwei "),
    "filter in another case": request("GET", 'userName eq "CHEN.WEI@Contoso.Example"'),
    "create with roles": body_has("POST", "roles", []),
    "create with meta": body_has("POST", "meta", {"resourceType": "User"}),
    "create with a null department": body_has("POST", "department", None),
    "create with a null manager": body_has("POST", "manager", None),
    "create with a null list": body_has("POST", "addresses", None),
    "create with a mistyped schema": request("POST", r"enterprise:2\.0User"),
    "create with the manager as a text": request("POST", r'"manager": "\$\{amara\}"'),
    "create twice": request("POST", "^/Users", status=409),
    "manager asked for": request("GET", r'id eq "\$\{wei\}" and manager eq "\$\{amara\}"'),
    "manager asked for without quotes": request("GET", r"manager eq \$\{amara\} and id eq \$\{wei\}"),
    "members asked for": request("GET", r'id eq "\$\{radiology\}" and members eq "\$\{\w+\}"'),
    "group by name without members": request("GET", r"excludedAttributes=members&filter=displayName eq"),
    "group by id without members": request("GET", r"^/Groups/\$\{radiology\}\?excludedAttributes=members"),
    "group create with an unknown schema": request("POST", "ADSCIM/2.0/Group.*externalId"),
    "group create twice": request("POST", "^/Groups", status=409),
    "several members in one request": request("PATCH", r'"members".*amara.*wei.*lucia'),
    "group delete": request("DELETE", "^/Groups/", status=204),
    "hard delete": request("DELETE", "^/Users/", status=204),
    "hard delete twice": request("DELETE", "^/Users/", status=404),
    "read a deleted user": request("GET", r"^/Users/\$\{hamid\}", status=404),
}

DEFAULT_DIALECT: dict[str, Form] = {
    "active as a text": operation("Replace", "active", "False"),
    "active as a boolean": operation("Replace", "active", False),
    "restore": operation("Replace", "active", "True"),
    "Add of a single value": operation("Add", "nickName"),
    "replace by a filter": operation("Replace", 'emails[type eq "work"].value'),
    "dotted path": operation("Replace", "name.familyName"),
    "absent phone": operation("Add", 'phoneNumbers[type eq "mobile"].value'),
    "absent street": operation("Add", 'addresses[type eq "work"].streetAddress'),
    "sub-attribute in another case": operation("Add", 'addresses[type eq "other"].Formatted'),
    "absent e-mail": operation("Replace", 'emails[type eq "other"].Value'),
    "enterprise attribute": operation("Replace", f"{ENTERPRISE}:employeeNumber"),
    "manager as a list": operation("Add", "manager", [{"value": "${amara}"}]),
    "manager as a text": operation("Replace", f"{ENTERPRISE}:manager", "${lucia}"),
    "manager as an object": operation("Replace", f"{ENTERPRISE}:manager", {"value": "${amara}"}),
    "manager removed": operation("Replace", f"{ENTERPRISE}:manager", ""),
    "primary role": operation("Add", 'roles[primary eq "True"].value'),
    "role as JSON in a text": request("PATCH", r'"value": "\{\\"id\\"'),
    "custom attribute": operation("Add", "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:tag"),
    "rename": operation("Replace", "userName"),
    "add members": request("PATCH", r'"op": "Add", "path": "members", "value": \[\{"\$ref": null'),
    "legacy removal": operation("Remove", "members", [{"$ref": None, "value": "${lucia}"}]),
    "group rename": operation("Replace", "displayName", "Radiology and Imaging"),
    "group replace without members": operation(
        "Replace", None, {"displayName": "Radiology and Imaging", "externalId": "93a1c6de-52b8-47f4-b0c9-8e7d6c5b4a11"}
    ),
}

COMPLIANT_DIALECT: dict[str, Form] = {
    "active as a boolean": operation("replace", "active", False),
    "restore": operation("replace", "active", True),
    "add of a single value": operation("add", "nickName"),
    "dotted keys": request("PATCH", r'"op": "replace", "value": \{.*"name\.givenName"'),
    "enterprise attribute as a key": request("PATCH", r'"op": "replace", "value": \{.*2\.0:User:employeeNumber"'),
    "absent phone": operation("add", 'phoneNumbers[type eq "mobile"].value'),
    "absent street": operation("add", 'addresses[type eq "work"].streetAddress'),
    "absent e-mail": operation("replace", 'emails[type eq "other"].Value'),
    "manager removed": operation("replace", f"{ENTERPRISE}:manager", ""),
    "primary role": operation("add", 'roles[primary eq "True"].value'),
    "rename": operation("replace", "userName"),
    "removal by a filter": operation("remove", 'members[value eq "${lucia}"]'),
}

OKTA_BOTH: dict[str, Form] = {
    "test": request("GET", r"^/Users\?startIndex=1&count=2 "),
    "groups after the test": request("GET", r"^/Groups\?startIndex=1&count=100 "),
    "filter by userName": request("GET", r"filter=userName%20eq%20%22.+%40.+%22&startIndex=1&count=100"),
    "filter by displayName": request("GET", r"filter=displayName%20eq%20%22.+%22&startIndex=1&count=100"),
    "create with a password": body_has("POST", "password"),
    "whole user": request("PUT", r'^/Users/.*"id": .*"active": true'),
    "whole user without active": lambda step: (
        step.method == "PUT"
        and step.path.startswith("/Users/")
        and isinstance(step.body, dict)
        and "active" not in step.body
    ),
    "push an empty group": body_has("POST", "members", []),
}

OKTA_OIN: dict[str, Form] = {
    "paging": request("GET", r"startIndex=101&count=100"),
    "create twice": request("POST", "^/Users", status=409),
    "deactivate": operation("replace", None, {"active": False}),
    "reactivate": operation("replace", None, {"active": True}),
    "push a group with members": request("POST", r'^/Groups.*"members": \[\{'),
    "rename with id": operation("replace", None, {"id": "${cardiology}", "displayName": "Cardiology team"}),
    "remove and add": request("PATCH", r'"remove", "path": "members\[value eq .*"add", "path": "members"'),
    "replace members": request("PATCH", r'"replace", "path": "members", "value": \[\{.*\}, \{'),
    "replace by nobody": operation("replace", "members", []),
}

OKTA_PUT: dict[str, Form] = {
    "deactivate": body_has("PUT", "active", False),
    "reactivate": body_has("PUT", "active", True),
    "password in a whole user": body_has("PUT", "password"),
    "group with members": request("PUT", r'^/Groups/.*"members": \[\{'),
    "group without members": lambda step: (
        step.method == "PUT"
        and step.path.startswith("/Groups/")
        and isinstance(step.body, dict)
        and "members" not in step.body
    ),
    "group with nobody": body_has("PUT", "members", []),
}

ONELOGIN: dict[str, Form] = {
    "unknown schema": body_has("POST", "schemas", ["urn:scim:schemas:core:1.0"]),
    "one e-mail, not in a list": request("POST", r'"emails": \{"value"'),
    "null id": body_has("PUT", "id", None),
    "active as a text": body_has("PUT", "active", "true"),
    "group patch of SCIM 1.1": request("PATCH", r'"operation": "add"'),
    "delete": request("DELETE", "^/Users/"),
}

JUMPCLOUD: dict[str, Form] = {
    "test user deleted": request("DELETE", r"^/Users/\$\{test\}"),
    "one operation for each attribute": request("PATCH", r'"path": "name\.givenName".*"path": "displayName"'),
    "removal by a list of values": operation("remove", "members", [{"value": "${fatima}"}]),
    "whole user": body_has("PUT", "title"),
}

FORMS = {
    "entra": BOTH_DIALECTS | DEFAULT_DIALECT,
    "entra-scim-compliant": BOTH_DIALECTS | COMPLIANT_DIALECT,
    "okta-oin": OKTA_BOTH | OKTA_OIN,
    "okta-put": OKTA_BOTH | OKTA_PUT,
    "onelogin": ONELOGIN,
    "jumpcloud": JUMPCLOUD,
}


def test_every_client_has_its_file() -> None:
    """Both dialects of Entra, both kinds of Okta's apps, OneLogin and JumpCloud."""
    assert set(names()) == set(FORMS)


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_form_of_request_is_recorded(name: str) -> None:
    """Each form that tolerant servers are known to trip over is in the story of the client that sends it."""
    assert missing(load(name), FORMS[name]) == []


@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_sequence_names_its_sources(name: str) -> None:
    """A page of the vendor first; and what no page shows has a word on where it comes from."""
    sequence = load(name)
    unexplained = [step.name for step in sequence.steps if not step.documented and not step.note]

    assert all(source.startswith("https://") for source in sequence.source)
    assert unexplained == []


@pytest.mark.parametrize("name", sorted(FORMS))
def test_only_made_up_people_are_recorded(name: str) -> None:
    """Every address is in a domain that exists nowhere (RFC 2606)."""
    sequence = load(name)
    written = json.dumps([(step.path, step.body) for step in sequence.steps], ensure_ascii=False).replace("%40", "@")
    domains = {domain.lower() for domain in re.findall(r"@([A-Za-z0-9.-]+)", written)}

    assert domains == {"contoso.example"}


def test_both_dialects_tell_the_same_story() -> None:
    """Same steps, same end; only PATCH bodies, and what is expected of roles in between, differ."""
    default, compliant = (load(name) for name in ENTRA)
    differing = {
        one.method for one, other in zip(default.steps, compliant.steps, strict=True) if one.body != other.body
    }

    assert [(s.name, s.method, s.path) for s in default.steps] == [(s.name, s.method, s.path) for s in compliant.steps]
    assert default.end == compliant.end
    assert differing == {"PATCH"}
    assert (default.query, compliant.query) == ("", "aadOptscim062020")


def test_the_dialects_write_operations_in_their_own_way() -> None:
    """Capitalised without the flag; in lower case and with real booleans with it."""
    default, compliant = (load(name) for name in ENTRA)
    ops = [{one["op"] for step in story.steps for one in operations(step)} for story in (default, compliant)]
    booleans = [one["value"] for step in compliant.steps for one in operations(step) if one.get("path") == "active"]

    assert ops == [{"Add", "Replace", "Remove", "replace"}, {"add", "replace", "remove"}]
    assert booleans == [False, True, False, True, False]


@pytest.mark.parametrize("name", OKTA)
def test_okta_never_deletes_a_user(name: str) -> None:
    """Its leavers are deactivated; only groups are deleted."""
    deleted = [step.path for step in load(name).steps if step.method == "DELETE" and "/Users" in step.path]

    assert deleted == []


def test_no_two_clients_share_a_person_or_a_group() -> None:
    """So that all stories can be played on one site, where login names are unique; Entra's two are one story."""
    stories = [load(name).end for name in FORMS if name != "entra-scim-compliant"]
    people = [user.lower() for end in stories for user in end.users]
    groups = [group for end in stories for group in end.groups]

    assert len(people) == len(set(people))
    assert len(groups) == len(set(groups))


@pytest.mark.parametrize("name", sorted(FORMS))
def test_a_password_is_never_expected_back(name: str) -> None:
    """Whoever sends one must not find it in the answer."""
    senders = [step for step in load(name).steps if '"password"' in json.dumps(step.body)]
    careless = [step.name for step in senders if not {"password", 409} & {*step.expect.absent, *step.expect.statuses}]

    assert careless == []
