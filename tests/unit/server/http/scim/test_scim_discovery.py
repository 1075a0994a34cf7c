"""What the server says about itself is complete, valid, and true."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_models import Context, ListResponse, ResourceType, Schema, ScimProvider, ServiceProviderConfig
from scim2_tester import Status, check_server

from server.http.scim import attributes, discovery
from server.http.scim.attributes import CORE, ENTERPRISE, ENTERPRISE_SCHEMA, GROUP, USER, Attribute, Kind
from server.http.scim.bodies.documents import user_document
from server.http.scim.errors import ScimError
from server.http.scim.queries.filters import parse
from server.http.scim.queries.projection import projection

BASE = "https://files.example/scim/v2"


def answered(method: str, path: str) -> tuple[int, dict[str, Any]]:
    """Answer as the endpoint does for what is tested here."""
    single: dict[str, Callable[[str, str], dict[str, Any]]] = {
        "Schemas": discovery.schema,
        "ResourceTypes": discovery.resource_type,
    }
    whole: dict[str, Callable[[str], dict[str, Any]]] = {
        "ServiceProviderConfig": discovery.service_provider_config,
        "Schemas": discovery.schemas,
        "ResourceTypes": discovery.resource_types,
    }
    name, _, rest = path.strip("/").partition("/")
    if name in whole and method != "GET":
        return 405, ScimError(405, "This is only read.").body()
    try:
        if rest and name in single:
            return 200, single[name](BASE, rest)
        if not rest and name in whole:
            return 200, whole[name](BASE)
    except ScimError as error:
        return error.status, error.body()
    return 404, ScimError(404, "There is nothing here.").body()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, body = answered(environ["REQUEST_METHOD"], environ["PATH_INFO"])
    start_response(f"{status} x", [("Content-Type", "application/scim+json")])
    return [json.dumps(body).encode()]


def test_the_conformance_checks() -> None:
    """scim2-tester finds nothing wrong with discovery, and the core schemas of the RFC are all there."""
    client = WSGISCIMClient(application, "http://localhost")

    results = check_server(client, include_tags={"discovery", "misc"})

    ran = [result for result in results if result.status is not Status.SKIPPED]
    assert [(result.title, result.reason) for result in ran if result.status is not Status.SUCCESS] == []
    assert len(ran) > 25
    assert {"ResourceType", "ServiceProviderConfig", "Schema"} <= {
        each["name"] for each in discovery.schemas(BASE)["Resources"]
    }


def test_valid_by_the_rfc() -> None:
    """scim2-models takes each answer for a valid response, and can make a client's classes of them."""
    read = Context.RESOURCE_QUERY_RESPONSE
    config = ServiceProviderConfig.model_validate(discovery.service_provider_config(BASE), scim_ctx=read)
    schemas = ListResponse[Schema].model_validate(discovery.schemas(BASE), scim_ctx=read).resources or []
    types = ListResponse[ResourceType].model_validate(discovery.resource_types(BASE), scim_ctx=read).resources or []

    provider = ScimProvider.from_discovery(schemas, types, config)

    assert {model.__name__ for model in provider.models} >= {"User", "Group"}
    assert [(each.name, each.endpoint) for each in types] == [("User", "/Users"), ("Group", "/Groups")]


def test_the_configuration() -> None:
    """Clients are told what is served and what is not."""
    config = discovery.service_provider_config(BASE)

    assert {
        name: config[name]["supported"] for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag")
    } == {
        "patch": True,
        "bulk": False,
        "filter": True,
        "changePassword": False,
        "sort": False,
        "etag": True,
    }
    assert config["filter"]["maxResults"] == 500
    assert [(each["type"], each.get("primary")) for each in config["authenticationSchemes"]] == [
        ("oauthbearertoken", True),
        ("httpbasic", None),
    ]
    assert config["meta"]["location"] == f"{BASE}/ServiceProviderConfig"


def test_the_types() -> None:
    """A user may have the enterprise extension; a group has none."""
    user, group = discovery.resource_types(BASE)["Resources"]

    assert (user["schema"], user["schemaExtensions"]) == (USER, [{"schema": ENTERPRISE, "required": False}])
    assert (group["schema"], group["schemaExtensions"]) == (GROUP, [])
    assert user == discovery.resource_type(BASE, "User")


@pytest.mark.parametrize("urn", [USER, USER.upper(), discovery.SCHEMA.lower(), ENTERPRISE])
def test_a_schema_in_any_case(urn: str) -> None:
    """URNs have no case."""
    assert discovery.schema(BASE, urn)["id"].lower() == urn.lower()


@pytest.mark.parametrize("name", ["", "user", "Users", "nobody", USER + ":userName"])
def test_unknown(name: str) -> None:
    """What does not exist is not found."""
    for ask in (discovery.schema, discovery.resource_type):
        with pytest.raises(ScimError) as refused:
            ask(BASE, name)

        assert refused.value.status == 404


@pytest.mark.parametrize("parameter", ["filter", "Filter"])
def test_filters_are_forbidden(parameter: str) -> None:
    """RFC 7644 section 4: a filtered answer would hide what is supported."""
    with pytest.raises(ScimError) as refused:
        discovery.refuse_filter(["count", parameter])

    assert refused.value.status == 403
    discovery.refuse_filter(["attributes", "startIndex", "aadOptscim062020"])


def test_an_answer_belongs_to_its_caller() -> None:
    """A member of an answer may be set, and the next answer is as before."""
    discovery.schema(BASE, USER)["name"] = "changed"

    assert discovery.schema(BASE, USER)["name"] == "User"


def characteristics(urn: str, name: str, part: str = "") -> dict[str, Any]:
    """What is declared of an attribute or of a part of it."""
    found = next(each for each in discovery.schema(BASE, urn)["attributes"] if each["name"] == name)
    if part:
        found = next(each for each in found["subAttributes"] if each["name"] == part)
    return {key: value for key, value in found.items() if key not in {"description", "subAttributes"}}


PLAIN = {
    "type": "string",
    "multiValued": False,
    "required": False,
    "caseExact": False,
    "mutability": "readWrite",
    "returned": "default",
    "uniqueness": "none",
}


def test_characteristics() -> None:
    """What the RFC says of an attribute is declared, and what holds differently here."""
    assert characteristics(USER, "userName") == PLAIN | {"name": "userName", "required": True, "uniqueness": "server"}
    assert characteristics(USER, "groups") == PLAIN | {
        "name": "groups",
        "type": "complex",
        "multiValued": True,
        "mutability": "readOnly",
    }
    assert characteristics(USER, "emails", "type")["canonicalValues"] == ["work", "home", "other"]
    assert characteristics(ENTERPRISE, "manager", "value") == PLAIN | {"name": "value", "caseExact": True}
    assert characteristics(GROUP, "members", "$ref")["referenceTypes"] == ["User"]


def test_what_is_not_said_is_not_declared() -> None:
    """The schema of the configuration has what the configuration says and no more."""
    assert set(declared(discovery.SERVICE_PROVIDER_CONFIG)) >= {"patch.supported", "filter.maxResults", "etag"}
    for name in ("pagination", "documentationUri"):
        assert name not in declared(discovery.SERVICE_PROVIDER_CONFIG)


def sample(attribute: Attribute) -> Any:
    """A value that fits what is declared."""
    match attribute.type:
        case "boolean":
            value: Any = True
        case "complex":
            value = {part.name: sample(part) for part in attribute.sub_attributes.values()}
        case "reference":
            value = "https://a.example/b"
        case _:
            value = attribute.canonical_values[0] if attribute.canonical_values else f"a {attribute.name}"
    return [value] if attribute.multi_valued else value


def declared(urn: str) -> list[str]:
    """The names that the answer declares in a schema, those of parts after a dot."""
    names = []
    for attribute in discovery.schema(BASE, urn)["attributes"]:
        names.append(attribute["name"])
        names += [f"{attribute['name']}.{part['name']}" for part in attribute.get("subAttributes", [])]
    return names


def test_what_is_declared_is_kept() -> None:
    """Every attribute of a user that clients are told they may write is in the document, with all its parts."""
    core = {each.name: sample(each) for each in CORE[Kind.USER] if not each.is_read_only}
    enterprise = {each.name: sample(each) for each in ENTERPRISE_SCHEMA}

    document, ignored = user_document({"schemas": [USER, ENTERPRISE], **core, ENTERPRISE: enterprise})

    assert document == core | {ENTERPRISE: enterprise}
    assert ignored == ()


@pytest.mark.parametrize(
    ("kind", "urn"),
    [(Kind.USER, USER), (Kind.USER, ENTERPRISE), (Kind.GROUP, GROUP)],
    ids=["user", "enterprise", "group"],
)
def test_what_is_declared_is_known(kind: Kind, urn: str) -> None:
    """Every declared name can be asked for by a filter and chosen by ``attributes``; nothing else can."""
    assert declared(urn)
    for name in declared(urn):
        assert parse(f"{urn}:{name} pr", kind)
        attribute = name.partition(".")[0]
        resource = {urn: {attribute: "x"}} if urn == ENTERPRISE else {attribute: "x"}
        assert projection(None, [f"{urn}:{attribute}"], kind).apply(resource) == {}
    for name in attributes.NOT_KEPT:
        assert name not in declared(urn)
        with pytest.raises(ScimError):
            parse(f"{name} pr", kind)
