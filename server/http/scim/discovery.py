"""What a client can ask of the server about itself: RFC 7644 section 4."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

import scim2_models

from server.http.scim.attributes import SCHEMAS, Attribute, Kind, canonical_urn
from server.http.scim.bodies.places import SCHEMAS_OF
from server.http.scim.errors import ScimError
from server.http.scim.queries.paging import MAX_COUNT, Page
from server.http.scim.rendering import list_response

SERVICE_PROVIDER_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
RESOURCE_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"

_DISCOVERY: tuple[type[scim2_models.Resource[Any]], ...] = (
    scim2_models.ServiceProviderConfig,
    scim2_models.ResourceType,
    scim2_models.Schema,
)
_NOT_SAID = frozenset({"documentationUri", "pagination"})  # of ServiceProviderConfig; both are optional

_Json: TypeAlias = dict[str, Any]


def refuse_filter(parameters: Iterable[str]) -> None:
    """Raise ScimError 403 if a query of these parameters' names would filter what is said here.

    RFC 7644 section 4: a client that filters would take what is missing for what is not supported. Sorting, paging
    and ``attributes`` are passed over.
    """
    if any(name.lower() == "filter" for name in parameters):
        raise ScimError(403, "What the server says about itself is not filtered.")


def service_provider_config(base: str) -> _Json:
    """Give what is supported. ``base`` is the URL that ``/ServiceProviderConfig`` follows."""
    return {
        "schemas": [SERVICE_PROVIDER_CONFIG],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_COUNT},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A token that an administrator of this server has issued",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            },
            {
                "type": "httpbasic",
                "name": "HTTP Basic",
                "description": "A name and a password that an administrator of this server has issued",
                "specUri": "https://www.rfc-editor.org/info/rfc7617",
            },
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def resource_types(base: str) -> _Json:
    """Give the list of all types of resources."""
    return _all([resource_type(base, kind) for kind in Kind])


def resource_type(base: str, name: str) -> _Json:
    """Give one type by its name. Raises ScimError 404 if there is none of this name."""
    kind = next((kind for kind in Kind if kind == name), None)
    if kind is None:
        raise ScimError(404, "There is no such type of resource.")
    core, *extensions = SCHEMAS_OF[kind]
    return {
        "schemas": [RESOURCE_TYPE],
        "id": str(kind),
        "name": str(kind),
        "description": core.description,
        "endpoint": f"/{kind}s",
        "schema": core.urn,
        "schemaExtensions": [{"schema": extension.urn, "required": False} for extension in extensions],
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{kind}"},
    }


def schemas(base: str) -> _Json:
    """Give the list of all schemas: of users and groups what is kept, and of the answers given here."""
    return _all([schema(base, urn) for urn in _described()])


def schema(base: str, urn: str) -> _Json:
    """Give one schema by its URN in any case. Raises ScimError 404 if it is not known."""
    wanted = canonical_urn(urn).lower()
    described = next((each for known, each in _described().items() if known.lower() == wanted), None)
    if described is None:
        raise ScimError(404, "There is no such schema.")
    return described | {"meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{described['id']}"}}


def _all(resources: list[_Json]) -> _Json:
    return list_response(resources, len(resources), Page(0, len(resources)))


@cache
def _described() -> dict[str, _Json]:
    """Give every schema by its URN, without ``meta``."""
    kept = {
        each.urn: {
            "schemas": [SCHEMA],
            "id": each.urn,
            "name": each.name,
            "description": each.description,
            "attributes": [_declaration(attribute) for attribute in each],
        }
        for each in SCHEMAS.values()
    }
    return kept | {each["id"]: each for each in map(_of_discovery, _DISCOVERY)}


def _of_discovery(model: type[scim2_models.Resource[Any]]) -> _Json:
    """Give the schema of an answer of discovery, of which scim2-models knows all that is to be said."""
    described = model.to_schema().model_dump(scim_ctx=scim2_models.Context.RESOURCE_QUERY_RESPONSE)
    described["attributes"] = [each for each in described["attributes"] if each["name"] not in _NOT_SAID]
    return described


def _declaration(attribute: Attribute) -> _Json:
    """Give an attribute as RFC 7643 section 7 declares one."""
    declared: _Json = {
        "name": attribute.name,
        "type": attribute.type,
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "caseExact": attribute.case_exact,
        "mutability": attribute.mutability,
        "returned": attribute.returned,
        "uniqueness": attribute.uniqueness,
    }
    if attribute.canonical_values:
        declared["canonicalValues"] = list(attribute.canonical_values)
    if attribute.reference_types:
        declared["referenceTypes"] = list(attribute.reference_types)
    if attribute.sub_attributes:
        declared["subAttributes"] = [_declaration(part) for part in attribute.sub_attributes.values()]
    return declared
