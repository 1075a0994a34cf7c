"""ScimError: the one way in which a request to SCIM is refused."""

from __future__ import annotations

from typing import Any, Literal

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"

ScimType = Literal[
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
]
"""The detail error keywords of RFC 7644 section 3.12, table 9."""


class ScimError(Exception):
    """The request is refused and nothing was changed.

    ``detail`` goes to the client: it names attributes and limits, never a value that the client sent.
    """

    def __init__(self, status: int, detail: str, scim_type: ScimType | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type

    def body(self) -> dict[str, Any]:
        """Give the JSON of RFC 7644 section 3.12; the status is a string there."""
        body: dict[str, Any] = {"schemas": [ERROR_SCHEMA], "status": str(self.status), "detail": self.detail}
        if self.scim_type is not None:
            body["scimType"] = self.scim_type
        return body
