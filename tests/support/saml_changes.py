"""Changes of a SAML response, before or after it is signed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auth_backends.saml.documents import NAMES, SAML


def assertion_of(root: Any) -> Any:
    """The assertion that stands where it belongs."""
    return root.find("saml:Assertion", NAMES)


def value_of(root: Any, name: str) -> Any:
    """The first value of an attribute."""
    return next(one for one in root.iter(f"{{{SAML}}}Attribute") if one.get("Name") == name)[0]


def set_text(path: str, text: str) -> Callable[[Any], None]:
    """A change that puts a text into an element."""

    def change(root: Any) -> None:
        root.find(path, NAMES).text = text

    return change


def set_attribute(path: str, name: str, value: str | None) -> Callable[[Any], None]:
    """A change that puts a value into an XML attribute, or takes it away."""

    def change(root: Any) -> None:
        element = root if not path else root.find(path, NAMES)
        if value is None:
            del element.attrib[name]
        else:
            element.set(name, value)

    return change
