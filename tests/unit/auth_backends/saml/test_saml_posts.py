"""Single logout by HTTP POST: signatures inside, judged as those of responses are."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from auth_backends.saml.documents import DSIG, NAMES, text_of
from auth_backends.saml.logout import (
    LogoutRequest,
    LogoutResponse,
    SignedInAs,
    logout_response,
    read_logout,
)
from auth_backends.saml.logout import logout_request as our_request
from auth_backends.saml.parties import IdentityProvider
from auth_backends.saml.posts import MAX_RELAY_STATE, posted_message
from auth_backends.saml.schema import check_schema
from auth_backends.saml.signatures import fingerprint_of
from auth_backends.sso import Form, SsoReason, SsoRefused
from tests.support.saml_changes import set_attribute, set_text
from tests.support.saml_logouts import (
    logout_answer,
    logout_request,
    posted,
    readable,
    weak,
    without_signature,
    wrapped,
)
from tests.support.saml_signer import certificate_der, ec_key_pair
from tests.unit.auth_backends.saml.conftest import Bench

ANN = "ann@contoso.test"
POST_URL = "https://login.example/slo/post"
Change = Callable[[Any], Any]


def request(bench: Bench, **changes: Change) -> str:
    """A proper request to sign ann out, with changes."""
    root = logout_request(bench.signer, bench.sp.slo_url, bench.now, ANN)
    return posted(bench.signer, root, **changes)


def read(
    bench: Bench, message: str, *, idp: IdentityProvider | None = None, relay_state: str = "back", **more: str
) -> LogoutRequest | LogoutResponse:
    """Verify and read a form as our address for single logout does."""
    provider = idp or bench.signer.idp()
    fields = {"SAMLRequest": message, "RelayState": relay_state, **more}
    return read_logout(posted_message(fields, provider), provider, bench.sp, bench.now)


def reason(bench: Bench, message: str, **fields: Any) -> SsoReason:
    """Why a form is refused."""
    with pytest.raises(SsoRefused) as refused:
        read(bench, message, **fields)
    return refused.value.reason


def by_post(bench: Bench) -> IdentityProvider:
    """A provider that takes single logout by POST alone."""
    nowhere = {"slo_url": None, "slo_response_url": None}
    return replace(bench.signer.idp(), **nowhere, slo_post_url=POST_URL, slo_post_response_url=f"{POST_URL}/answer")


def test_a_providers_request_is_read(bench: Bench) -> None:
    """Whom it names, and what goes back with the answer."""
    said = read(bench, request(bench))

    assert isinstance(said, LogoutRequest)
    assert (said.id, said.name_id, said.session_indexes, said.relay_state) == ("id-9", ANN, frozenset(), "back")


def test_a_providers_answer_is_read(bench: Bench) -> None:
    """To which request it is, and whether it succeeded."""
    answer = posted(bench.signer, logout_answer(bench.signer, bench.sp.slo_url, bench.now, "id-1"))
    fields = {"SAMLResponse": answer, "RelayState": "handle"}
    idp = bench.signer.idp()
    said = read_logout(posted_message(fields, idp), idp, bench.sp, bench.now)

    assert said == LogoutResponse("id-1", "handle", succeeded=True)


def test_what_we_post_is_signed_and_of_the_schema(bench: Bench) -> None:
    """Both messages, read as the provider reads them: by our certificate, at its own addresses."""
    who = SignedInAs(ANN, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "_s1")
    ours = {"relay_state": "r", "now": bench.now}
    asked = our_request(by_post(bench), bench.sp, who, request_id="id-1", **ours)  # type: ignore[arg-type]  # by name
    answered = logout_response(by_post(bench), bench.sp, in_response_to="id-9", **ours)  # type: ignore[arg-type]  # by name
    assert isinstance(asked, Form)
    assert isinstance(answered, Form)
    der = base64.b64decode("".join(bench.sp.certificate_pem.strip().splitlines()[1:-1]))
    us = IdentityProvider(bench.sp.entity_id, "", certificates=(der,))
    said = [
        read_logout(posted_message(form.fields, us), us, replace(bench.sp, slo_url=form.address), bench.now)
        for form in (asked, answered)
    ]

    assert (asked.address, answered.address) == (POST_URL, f"{POST_URL}/answer")
    assert isinstance(said[0], LogoutRequest)
    assert (said[0].id, said[0].name_id, said[0].session_indexes) == ("id-1", ANN, frozenset({"_s1"}))
    assert said[1] == LogoutResponse("id-9", "r", succeeded=True)
    check_schema(readable(asked.fields["SAMLRequest"]))
    assert bench.sp.private_key_pem.reveal() not in repr(asked)


def test_a_redirect_needs_no_button(bench: Bench) -> None:
    """It is taken where the provider offers both, also for answers alone; POST where there is nothing else."""
    both = replace(by_post(bench), slo_url="https://login.example/slo", slo_response_url="https://login.example/slo")
    who = SignedInAs(ANN, "", "")
    made = [
        our_request(idp, bench.sp, who, request_id="id-1", relay_state="", now=bench.now)
        for idp in (both, by_post(bench), replace(by_post(bench), slo_post_url=None))
    ]

    assert isinstance(made[0], str)
    assert isinstance(made[1], Form)
    assert "RelayState" not in made[1].fields
    assert made[2] is None


def _second_reference(root: Any) -> None:
    info = root.find("ds:Signature/ds:SignedInfo", NAMES)
    info.append(copy.deepcopy(info.find("ds:Reference", NAMES)))


def _moved(root: Any) -> None:
    extensions = etree.SubElement(root, f"{{{NAMES['samlp']}}}Extensions")
    root.remove(extensions)
    root.insert(1, extensions)
    extensions.append(root.find("ds:Signature", NAMES))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without_signature, SsoReason.NOT_SIGNED),
        (_moved, SsoReason.NOT_SIGNED),
        (set_text("saml:NameID", "bob@contoso.test"), SsoReason.BAD_SIGNATURE),
        (set_attribute("", "NotOnOrAfter", "2099-01-01T00:00:00Z"), SsoReason.BAD_SIGNATURE),
        (set_attribute("", "ID", "id-other"), SsoReason.BAD_SIGNATURE),
        (set_attribute("ds:Signature/ds:SignedInfo/ds:Reference", "URI", ""), SsoReason.BAD_SIGNATURE),
        (_second_reference, SsoReason.FORBIDDEN_ALGORITHM),
        (wrapped, SsoReason.FORBIDDEN_ALGORITHM),
        (lambda root: root.append(copy.deepcopy(root.find("ds:Signature", NAMES))), SsoReason.FORBIDDEN_ALGORITHM),
        (lambda root: root.append(copy.deepcopy(root.find("saml:NameID", NAMES))), SsoReason.MALFORMED),
        (lambda root: root.set("more", "x"), SsoReason.MALFORMED),
    ],
    ids=[
        *("unsigned", "signature elsewhere", "another person", "longer life", "another ID", "whole document"),
        *("two references", "wrapped", "signed twice", "two names", "off the schema"),
    ],
)
def test_a_message_that_was_touched_signs_nobody_out(bench: Bench, change: Change, expected: SsoReason) -> None:
    """S26 and S1 to S13, for these messages."""
    assert reason(bench, request(bench, signed=change)) is expected


def test_a_signature_in_a_signature_is_refused(bench: Bench) -> None:
    """One stands where it belongs and is right; no other may stand anywhere."""

    def nested(root: Any) -> None:
        extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
        etree.SubElement(extensions, f"{{{DSIG}}}Signature")
        root.insert(1, extensions)

    assert reason(bench, request(bench, unsigned=nested)) is SsoReason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (set_attribute("", "Destination", None), SsoReason.WRONG_DESTINATION),
        (set_attribute("", "Destination", "https://other.example/slo"), SsoReason.WRONG_DESTINATION),
        (set_text("saml:Issuer", "https://sts.windows.net/other/"), SsoReason.WRONG_ISSUER),
        (set_attribute("", "IssueInstant", "2001-01-01T00:00:00Z"), SsoReason.OUT_OF_TIME),
    ],
    ids=["no destination", "for others", "another issuer", "old"],
)
def test_a_signed_message_must_also_be_right(bench: Bench, change: Change, expected: SsoReason) -> None:
    """What the provider signs for others signs nobody out here (saml-bindings-2.0-os section 3.5.5.2)."""
    assert reason(bench, request(bench, unsigned=change)) is expected


@pytest.mark.parametrize("fields", [{"algorithm": "RSA_SHA1"}, {"digest": "SHA1"}], ids=["signature", "digest"])
def test_sha1_is_refused(bench: Bench, fields: dict[str, str]) -> None:
    """S13."""
    signer = weak(bench.signer, **fields)
    message = posted(signer, logout_request(signer, bench.sp.slo_url, bench.now, ANN))

    assert reason(bench, message) is SsoReason.FORBIDDEN_ALGORITHM


def test_a_stranger_signs_nobody_out(bench: Bench) -> None:
    """Though the certificate is shown, and the issuer is the provider's."""
    message = posted(bench.stranger, logout_request(bench.signer, bench.sp.slo_url, bench.now, ANN))

    assert reason(bench, message) is SsoReason.UNKNOWN_SIGNING_KEY


def test_a_comment_cuts_no_name(bench: Bench) -> None:
    """S18: the whole text counts, whether or not the provider signed the comment."""

    def comment(root: Any) -> None:
        name = root.find("saml:NameID", NAMES)
        mark = etree.Comment("x")
        name.text, mark.tail = ANN[:3], ANN[3:]
        name.append(mark)

    for when in ("unsigned", "signed"):
        said = read(bench, request(bench, **{when: comment}))
        assert isinstance(said, LogoutRequest)
        assert said.name_id == ANN


@pytest.mark.parametrize(
    ("message", "more", "expected"),
    [
        ("", {}, SsoReason.MALFORMED),
        ("%%%", {}, SsoReason.MALFORMED),
        (base64.b64encode(b"<!DOCTYPE x [<!ENTITY e 'x'>]><x/>").decode(), {}, SsoReason.FORBIDDEN_XML),
        ("A" * 200_000, {}, SsoReason.TOO_LARGE),
        ("PHgvPg==", {}, SsoReason.NOT_SIGNED),
        ("PHgvPg==", {"SAMLResponse": "PHgvPg=="}, SsoReason.MALFORMED),
        ("PHgvPg==", {"RelayState": "x" * (MAX_RELAY_STATE + 1)}, SsoReason.TOO_LARGE),
    ],
    ids=["empty", "no base64", "DTD", "large", "another document", "two messages", "large RelayState"],
)
def test_what_is_no_message_is_refused(bench: Bench, message: str, more: dict[str, str], expected: SsoReason) -> None:
    """Whatever a form brings."""
    fields = {
        "relay_state": "",
        **{("relay_state" if name == "RelayState" else name): one for name, one in more.items()},
    }

    assert reason(bench, message, **fields) is expected


def test_a_form_without_a_message_is_refused(bench: Bench) -> None:
    """Neither kind."""
    with pytest.raises(SsoRefused) as refused:
        posted_message({"RelayState": "x"}, bench.signer.idp())
    assert refused.value.reason is SsoReason.MALFORMED


def test_with_fingerprints_the_certificate_shown_must_be_that(bench: Bench) -> None:
    """As with responses; and a query shows none, so that it is refused with words for an admin."""
    known = fingerprint_of(certificate_der(bench.signer.pair))
    idp = replace(bench.signer.idp(), certificates=(), fingerprints=frozenset({known}))
    stranger = posted(bench.stranger, logout_request(bench.signer, bench.sp.slo_url, bench.now, ANN))

    def another_shown(root: Any) -> None:
        shown = next(root.iter(f"{{{DSIG}}}X509Certificate"))
        shown.text = base64.b64encode(certificate_der(bench.signer.pair)).decode()

    forged = posted(
        bench.stranger, logout_request(bench.signer, bench.sp.slo_url, bench.now, ANN), signed=another_shown
    )

    assert isinstance(read(bench, request(bench), idp=idp), LogoutRequest)
    assert reason(bench, stranger, idp=idp) is SsoReason.UNKNOWN_SIGNING_KEY
    assert reason(bench, forged, idp=idp) is SsoReason.BAD_SIGNATURE


def test_a_key_on_a_curve_signs_messages_and_assertions(bench: Bench) -> None:
    """One list for all: what an assertion may be signed by, a message may be."""
    signer = replace(bench.signer, pair=ec_key_pair(bench.now), algorithm="ECDSA_SHA256")
    message = posted(signer, logout_request(signer, bench.sp.slo_url, bench.now, ANN))
    on_curve = replace(bench, signer=signer)

    assert isinstance(read(bench, message, idp=signer.idp()), LogoutRequest)
    assert on_curve.verify(signer.response("id-1", bench.now)).name_id == ANN
    assert reason(bench, message) is SsoReason.UNKNOWN_SIGNING_KEY
    assert text_of(readable(message).find("saml:NameID", NAMES)) == ANN
