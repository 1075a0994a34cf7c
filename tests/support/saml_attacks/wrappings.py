"""S1 to S9, signature wrapping: the signature is right, and what is read is something else.

The eight shapes are those of "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky and others, 2012, section 4).
"""

from __future__ import annotations

import copy
from typing import Any

from lxml import etree

from auth_backends.saml.documents import DSIG, NAMES, SAMLP
from tests.support.saml_changes import assertion_of, value_of
from tests.support.saml_signer import OBJECT_ID, Change, signature_in

MALLORY = "99999999-2222-4333-8444-555555555555"


def forged(assertion: Any, *, same_id: bool = False, keep_signature: bool = False) -> Any:
    """A copy of an assertion that speaks of somebody else."""
    evil = copy.deepcopy(assertion)
    if not keep_signature:
        evil.remove(evil.find("ds:Signature", NAMES))
    if not same_id:
        evil.set("ID", "_evil")
    value_of(evil, OBJECT_ID).text = MALLORY
    return evil


def wrap_1(root: Any) -> None:
    """The response is a copy, and the signed original a child of its signature."""
    signature = signature_in(root)
    original = copy.deepcopy(root)
    for one in list(original.iter(f"{{{DSIG}}}Signature")):
        one.getparent().remove(one)
    root.set("ID", "_evil")
    value_of(root, OBJECT_ID).text = MALLORY
    signature.append(original)


def wrap_2(root: Any) -> None:
    """The signed original stands beside the signature in the copy."""
    original = copy.deepcopy(root)
    root.set("ID", "_evil")
    value_of(root, OBJECT_ID).text = MALLORY
    root.append(original)


def wrap_3(root: Any) -> None:
    """A forged assertion before the original."""
    root.insert(root.index(assertion_of(root)), forged(assertion_of(root)))


def wrap_4(root: Any) -> None:
    """The original inside a forged assertion."""
    original = assertion_of(root)
    evil = forged(original)
    root.replace(original, evil)
    evil.append(original)


def wrap_5(root: Any) -> None:
    """The forged assertion keeps the signature, and the original follows without one."""
    original = assertion_of(root)
    evil = forged(original, keep_signature=True)
    original.remove(original.find("ds:Signature", NAMES))
    root.insert(0, evil)


def wrap_6(root: Any) -> None:
    """The original inside the signature of the forged one."""
    original = assertion_of(root)
    evil = forged(original, keep_signature=True)
    root.replace(original, evil)
    original.remove(original.find("ds:Signature", NAMES))
    evil.find("ds:Signature", NAMES).append(original)


def wrap_7(root: Any) -> None:
    """A forged assertion inside an element for extensions."""
    extensions = etree.SubElement(root, f"{{{SAMLP}}}Extensions")
    extensions.append(forged(assertion_of(root), same_id=True))


def wrap_8(root: Any) -> None:
    """The original inside an Object of the forged one's signature."""
    original = assertion_of(root)
    evil = forged(original, keep_signature=True)
    root.replace(original, evil)
    original.remove(original.find("ds:Signature", NAMES))
    holder = etree.SubElement(evil.find("ds:Signature", NAMES), f"{{{DSIG}}}Object")
    holder.append(original)


def wrap_9(root: Any) -> None:
    """S9: two assertions of one ID."""
    root.append(forged(assertion_of(root), same_id=True))


WRAPPINGS: dict[str, Change] = {
    f"S{number} {wrap.__name__}": wrap
    for number, wrap in enumerate((wrap_1, wrap_2, wrap_3, wrap_4, wrap_5, wrap_6, wrap_7, wrap_8, wrap_9), start=1)
}
"""Changes after signing, of a response whose assertion is signed."""
