"""An identity provider in the test's own process: Entra-shaped responses signed by real xmlsec, and forged ones."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from lxml import etree

from auth_backends.api import Secret
from auth_backends.saml.documents import DSIG, NAMES, SAML, SAMLP
from auth_backends.saml.parties import IdentityProvider, KeyPair, ServiceProvider, new_key_pair

TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
ISSUER = f"https://sts.windows.net/{TENANT}/"
SSO_URL = f"https://login.example/{TENANT}/saml2"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
TENANT_ID = "http://schemas.microsoft.com/identity/claims/tenantid"
DISPLAY = "http://schemas.microsoft.com/identity/claims/displayname"
NAME = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
EMAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
GROUPS = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
OID = "11111111-2222-4333-8444-555555555555"

Change = Callable[[etree._Element], object]


def certificate_der(pair: KeyPair) -> bytes:
    """The certificate of a key pair in DER."""
    lines = pair.certificate_pem.strip().splitlines()[1:-1]
    return base64.b64decode("".join(lines))


@dataclass(frozen=True)
class EntraSigner:
    """Makes responses for one service provider. ``pair`` signs; ``unsigned`` and ``signed`` change what it makes."""

    pair: KeyPair
    sp_entity_id: str
    acs_url: str
    issuer: str = ISSUER
    tenant: str = TENANT
    algorithm: str = "RSA_SHA256"
    digest: str = "SHA256"
    lifetime_s: float = 4200.0
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def fresh(
        cls,
        sp: ServiceProvider,
        now: float,
        *,
        issuer: str = ISSUER,
        attributes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> EntraSigner:
        """A signer with a key of its own for this service provider."""
        return cls(new_key_pair("idp", now), sp.entity_id, sp.acs_url, issuer, attributes=attributes or {})

    def idp(self, *more: KeyPair) -> IdentityProvider:
        """The provider as its metadata would describe it."""
        certificates = tuple(certificate_der(pair) for pair in (self.pair, *more))
        return IdentityProvider(self.issuer, SSO_URL, SSO_URL, SSO_URL, certificates=certificates)

    def response(
        self,
        request_id: str | None,
        now: float,
        *,
        unsigned: Change | None = None,
        signed: Change | None = None,
        sign: tuple[str, ...] = ("assertion",),
        encrypt_for: str | None = None,
        **claims: tuple[str, ...],
    ) -> str:
        """A response as posted (base64). ``unsigned`` changes the document before it is signed, ``signed`` after."""
        root = self.document(request_id, now, **claims)
        if unsigned is not None:
            unsigned(root)
        if "assertion" in sign:
            self.sign(root.find("saml:Assertion", NAMES))
            root = decoded_again(encoded(root))  # lxml does not find all that xmlsec has put into its trees
        if encrypt_for is not None:
            if signed is not None:
                signed(root)
            encrypt(root, encrypt_for)
        if "response" in sign:
            self.sign(root)
        if signed is not None and encrypt_for is None:
            root = decoded_again(encoded(root))
            signed(root)
        return encoded(root)

    def document(self, request_id: str | None, now: float, **claims: tuple[str, ...]) -> etree._Element:
        """The response as a document, without a signature."""
        answer = "" if request_id is None else f' InResponseTo="{request_id}"'
        begins, ends = moment(now), moment(now + self.lifetime_s)
        told = {
            OBJECT_ID: (OID,),
            TENANT_ID: (self.tenant,),
            DISPLAY: ("Ann Example",),
            NAME: ("ann@contoso.test",),
            EMAIL: ("ann@contoso.test",),
            GROUPS: ("g-1", "g-2"),
            **self.attributes,
            **claims,
        }
        attributes = "".join(
            f'<Attribute Name="{name}">{"".join(f"<AttributeValue>{value}</AttributeValue>" for value in values)}'
            "</Attribute>"
            for name, values in told.items()
            if values
        )
        number = base64.b16encode(f"{now}{request_id}".encode()).decode()[-40:]
        text = f"""<samlp:Response xmlns:samlp="{SAMLP}" ID="_r{number}" Version="2.0" IssueInstant="{begins}"
 Destination="{self.acs_url}"{answer}><Issuer xmlns="{SAML}">{self.issuer}</Issuer><samlp:Status><samlp:StatusCode
 Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><Assertion xmlns="{SAML}" ID="_a{number}"
 IssueInstant="{begins}" Version="2.0"><Issuer>{self.issuer}</Issuer><Subject><NameID
 Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">ann@contoso.test</NameID><SubjectConfirmation
 Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData{answer} NotOnOrAfter="{ends}"
 Recipient="{self.acs_url}"/></SubjectConfirmation></Subject><Conditions NotBefore="{begins}" NotOnOrAfter="{ends}"
><AudienceRestriction><Audience>{self.sp_entity_id}</Audience></AudienceRestriction></Conditions><AttributeStatement
>{attributes}</AttributeStatement><AuthnStatement AuthnInstant="{begins}" SessionIndex="_s{number}"><AuthnContext
><AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</AuthnContextClassRef></AuthnContext
></AuthnStatement></Assertion></samlp:Response>"""
        return etree.fromstring(text)

    def sign(self, element: etree._Element) -> etree._Element:
        """Sign an element and put the signature behind its issuer."""
        signature = xmlsec.template.create(
            element, xmlsec.constants.TransformExclC14N, getattr(xmlsec.constants, f"Transform{_sig(self.algorithm)}")
        )
        element.insert(1, signature)
        reference = xmlsec.template.add_reference(
            signature, getattr(xmlsec.constants, f"Transform{_dig(self.digest)}"), uri=f"#{element.get('ID')}"
        )
        xmlsec.template.add_transform(reference, xmlsec.constants.TransformEnveloped)
        xmlsec.template.add_transform(reference, xmlsec.constants.TransformExclC14N)
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(self.pair.private_key_pem.reveal(), xmlsec.constants.KeyDataFormatPem)
        context.key.load_cert_from_memory(self.pair.certificate_pem, xmlsec.constants.KeyDataFormatPem)
        xmlsec.tree.add_ids(element, ["ID"])
        context.sign(signature)
        return signature


def encrypt(root: etree._Element, certificate_pem: str, *, key_transform: str = "RsaOaep") -> None:
    """Put an encrypted assertion in place of the clear one."""
    assertion = root.find("saml:Assertion", NAMES)
    data = xmlsec.template.encrypted_data_create(
        root, xmlsec.constants.TransformAes256Cbc, type=xmlsec.constants.TypeEncElement, ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    key = xmlsec.template.add_encrypted_key(info, getattr(xmlsec.constants, f"Transform{key_transform}"))
    xmlsec.template.encrypted_data_ensure_cipher_value(key)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate_pem, xmlsec.constants.KeyDataFormatCertPem))
    context = xmlsec.EncryptionContext(manager)
    context.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, 256, xmlsec.constants.KeyDataTypeSession)
    encrypted = context.encrypt_xml(data, copy.deepcopy(assertion))
    wrapper = etree.Element(f"{{{SAML}}}EncryptedAssertion")
    wrapper.append(encrypted)
    root.replace(assertion, wrapper)


def encoded(root: etree._Element) -> str:
    """A document as it is posted."""
    return base64.b64encode(etree.tostring(root)).decode("ascii")


def decoded_again(response: str) -> etree._Element:
    """The document of a posted response."""
    return etree.fromstring(base64.b64decode(response))


def moment(at: float) -> str:
    """A time as Entra writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def signature_in(element: etree._Element) -> etree._Element:
    """The first signature in an element."""
    return next(element.iter(f"{{{DSIG}}}Signature"))


def _sig(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _dig(name: str) -> str:
    return {"SHA256": "Sha256", "SHA1": "Sha1"}[name]


def ec_key_pair(now: float) -> KeyPair:
    """A key on P-256 with a certificate that it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    begins = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return KeyPair(Secret(key.private_bytes(*form).decode()), pem)


def idp_metadata(signer: EntraSigner, *more: KeyPair) -> bytes:
    """Metadata as Entra ID publishes them: with a descriptor of WS-Federation beside that of SAML."""
    keys = "".join(
        f'<KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{_base64(pair)}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>"
        for pair in (signer.pair, *more)
    )
    redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
    return (
        f'<EntityDescriptor xmlns="{NAMES["md"]}" xmlns:ds="{DSIG}" entityID="{signer.issuer}">'
        '<RoleDescriptor xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706" xsi:type="fed:SecurityTokenServiceType" '
        f'protocolSupportEnumeration="http://docs.oasis-open.org/wsfed/federation/200706"/>'
        f'<IDPSSODescriptor protocolSupportEnumeration="{SAMLP}">{keys}'
        f'<SingleLogoutService Binding="{redirect}" Location="{SSO_URL}"/>'
        f'<SingleSignOnService Binding="{redirect}" Location="{SSO_URL}"/>'
        "</IDPSSODescriptor></EntityDescriptor>"
    ).encode()


def _base64(pair: KeyPair) -> str:
    return base64.b64encode(certificate_der(pair)).decode("ascii")
