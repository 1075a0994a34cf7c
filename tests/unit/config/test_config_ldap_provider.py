"""The rules of one directory's settings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from config.fields import leaves
from config.ldap import Departure, LdapProvider, Security
from config.providers import HomeLayout, ProviderInvalid, made_from
from config.settings import Settings

WHOLE: dict[str, object] = {
    "hosts": ["dc1.example.org"],
    "vendor": "active-directory",
    "base_dn": "dc=example,dc=org",
    "bind_user": "svc@example.org",
    "bind_password": "hunter2",
}
CUSTOM: dict[str, object] = {
    "vendor": "custom",
    "user_filter": "(objectClass=person)",
    "group_filter": "(objectClass=groupOfNames)",
    "id_attribute": "entryUUID",
    "login_attribute": "uid",
}


def provider(**given: object) -> LdapProvider:
    return LdapProvider.model_validate({**WHOLE, **given})


def refusal(**given: object) -> str:
    with pytest.raises(ValidationError) as caught:
        provider(**given)
    return str(caught.value)


def test_what_is_not_said_is_the_safe_choice() -> None:
    """LDAPS, disable and not delete, a small share of users at once, and no way in that was not asked for is closed."""
    found = provider()

    assert (found.security, found.on_departure, found.home_layout) == (
        Security.LDAPS,
        Departure.DISABLE,
        HomeLayout.NAME,
    )
    assert (found.max_disabled_percent, found.max_disabled_count) == (10, 20)
    assert (found.groups_include, found.groups_required, found.protocols) == (("*",), (), frozenset())


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_can_be_reached_without_these(name: str) -> None:
    """Servers, vendor, base and the service account have no default."""
    given = {key: value for key, value in WHOLE.items() if key != name}

    with pytest.raises(ValidationError, match=f"(?s){name}.*Field required"):
        LdapProvider.model_validate(given)


@pytest.mark.parametrize(
    ("security", "addresses"),
    [
        ("ldaps", (("dc1.example.org", 636), ("::1", 3269), ("192.0.2.1", 65535))),
        ("starttls", (("dc1.example.org", 389), ("::1", 3269), ("192.0.2.1", 65535))),
    ],
)
def test_a_host_without_a_port_has_that_of_its_protection(security: str, addresses: object) -> None:
    """636 for LDAPS and 389 for STARTTLS; the order stays, and an IPv6 address loses its brackets."""
    found = provider(security=security, hosts=["dc1.example.org", "[::1]:3269", "192.0.2.1:65535"])

    assert found.addresses() == addresses


def test_a_bare_ipv6_address_stands_in_brackets() -> None:
    """Without them its last group could be a port."""
    assert provider(hosts=["[2001:db8::1]"]).addresses() == (("2001:db8::1", 636),)
    assert "neither NAME nor NAME:PORT" in refusal(hosts=["2001:db8::1"])


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b",
        "ldaps://dc1",
        "dc1/",
        "dc1:",
        "dc1:0",
        "dc1:65536",
        "dc1:٣",
        "dc1:636:636",
        "dc1\n",
        "[]",
        "[:::]",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    """Neither a URL, nor an empty name, nor a port that is none."""
    assert "hosts.0" in refusal(hosts=[host])


@pytest.mark.parametrize("count", [0, 4])
def test_there_are_one_to_three_hosts(count: int) -> None:
    """None cannot be asked, and more than three take too long to try."""
    assert "hosts" in refusal(hosts=[f"dc{number}" for number in range(count)])
    assert len(provider(hosts=["dc1", "dc2", "dc3"]).hosts) == 3


@pytest.mark.parametrize("twice", [["dc1", "dc1"], ["dc1", "DC1"], ["dc1", "dc1:636"], ["dc2:1", "dc1", "dc2:1"]])
def test_a_server_is_named_once(twice: list[str]) -> None:
    """In whatever spelling: the second would only cost time when the first does not answer."""
    assert "hosts names the same server twice" in refusal(hosts=twice)


def test_one_machine_may_serve_two_ports() -> None:
    """These are two servers."""
    assert len(provider(hosts=["dc1:636", "dc1:3269"]).hosts) == 2


@pytest.mark.parametrize("missing", ["user_filter", "group_filter", "id_attribute", "login_attribute"])
def test_a_custom_vendor_says_everything(missing: str) -> None:
    """There is no preset for it; the refusal names what is missing."""
    partial = {key: value for key, value in CUSTOM.items() if key != missing}

    assert f"vendor custom needs {missing} too" in refusal(**partial)
    assert provider(**CUSTOM).login_attribute == "uid"


@pytest.mark.parametrize("text", ["(uid=*)", "(&(objectClass=user)(!(cn=a\\28b\\29)))", "(|(a=1)(b=2))", "(cn=Käthe)"])
def test_a_filter_in_one_pair_of_parentheses_is_taken(text: str) -> None:
    """As RFC 4515 section 3 writes it, nested ones too."""
    assert provider(user_filter=text).user_filter == text


@pytest.mark.parametrize(
    "text", ["", "(", ")", "uid=*", "(uid=*", "uid=*)", "(a=1)(b=2)", "(a))((b)", ")(", "(a=\0)", " (a=1)", "(a=1) "]
)
def test_a_filter_that_could_escape_its_place_is_refused(text: str) -> None:
    """It is put into larger filters, so it must be exactly one."""
    assert "balanced parentheses" in refusal(group_filter=text)


@pytest.mark.parametrize("name", ["base_dn", "user_base_dn", "group_base_dn"])
def test_a_base_is_a_distinguished_name(name: str) -> None:
    """A domain's name in its place is the usual mistake."""
    assert provider(**{name: "ou=Staff,dc=example,dc=org"})
    assert "is not a distinguished name" in refusal(**{name: "example.org"})
    assert "is not a distinguished name" in refusal(**{name: "dc=a\0"})


@pytest.mark.parametrize("text", ["", "1a", "a b", "a=b", "a)(b", "*", "é", "a" * 65, "uid\n"])
def test_what_is_no_attribute_is_refused(text: str) -> None:
    """Attributes are put into filters, so nothing but RFC 4512's letters passes."""
    assert "is not the name of an LDAP attribute" in refusal(id_attribute=text)
    assert "is not the name of an LDAP attribute" in refusal(login_attribute=text)
    assert "is not the name of an LDAP attribute" in refusal(alias_attributes=["mail", text])


def test_attributes_may_carry_options() -> None:
    """As in RFC 4512 section 2.5."""
    assert provider(login_attribute="cn;lang-en").login_attribute == "cn;lang-en"


def test_only_ways_in_that_exist_are_taken() -> None:
    """A misspelt one would shut out every new user."""
    assert provider(protocols=["sftp", "portal"]).protocols == frozenset({"sftp", "portal"})
    assert "'ftp' is none of them" in refusal(protocols=["sftp", "ftp"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bind_user", ""),
        ("bind_password", ""),
        ("bind_password", "x" * 1025),
        ("timeout_s", 0.5),
        ("timeout_s", float("inf")),
        ("connections", 0),
        ("max_disabled_percent", 101),
        ("lockout_threshold", -1),
        ("lockout_window_s", 0),
        ("sync_interval_s", 59),
        ("security", "none"),
        ("vendor", "novell"),
        ("pasword", "x"),
    ],
)
def test_values_out_of_range_and_unknown_keys_are_refused(name: str, value: object) -> None:
    """An admin's provider in the database passes the same checks as one in the file."""
    assert name in refusal(**{name: value})


def test_the_password_is_never_shown() -> None:
    """Not by repr or text of the provider or of the whole tree, and not by what pydantic says about a mistake."""
    settings = Settings(ldap={"corp": provider()})
    shown = f"{settings!r} {settings} {settings.ldap} {settings.ldap['corp']!r} {settings.ldap['corp']}"

    assert "hunter2" not in shown
    assert "hunter2" not in refusal(vendor="custom")
    assert "hunter2" not in refusal(bind_password="hunter2" * 500)
    assert "hunter2" not in refusal(bind_password=["hunter2"])
    assert "hunter2" not in refusal(bind_pasword="hunter2")


def test_settings_from_elsewhere_are_refused_in_sentences() -> None:
    """All mistakes at once, each with its key where there is one, and without the password."""
    with pytest.raises(ProviderInvalid) as single:
        made_from(LdapProvider, {**WHOLE, "timeout_s": 0, "bind_password": ["hunter2"], "bind_pasword": "hunter2"})
    with pytest.raises(ProviderInvalid) as rule:
        made_from(LdapProvider, {**WHOLE, "hosts": ["dc1", "dc1"]})

    assert [problem.partition(":")[0] for problem in single.value.problems] == [
        "bind_password",
        "timeout_s",
        "bind_pasword",
    ]
    assert "hunter2" not in f"{single.value} {single.value!r}"
    assert rule.value.problems == ("hosts names the same server twice",)
    assert made_from(LdapProvider, WHOLE) == provider()


def test_settings_reach_a_worker_whole() -> None:
    """The JSON that a worker is given holds every provider with its password."""
    settings = Settings(ldap={"corp": provider(protocols=["sftp", "ftps"]), "lab": provider(**CUSTOM)})

    arrived = Settings.model_validate_json(settings.model_dump_json())

    assert arrived == settings
    assert arrived.ldap["corp"].bind_password == "hunter2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hosts", "a list of 1 to 3 texts, each NAME or NAME:PORT"),
        ("security", "one of: ldaps, starttls"),
        ("base_dn", "a distinguished name such as dc=example,dc=org"),
        ("bind_password", "a text of 1 to 1024 characters"),
        ("user_filter", "an LDAP filter in parentheses"),
        ("id_attribute", "the name of an LDAP attribute"),
        ("alias_attributes", "a list of texts, each the name of an LDAP attribute"),
        ("groups_include", "a list of texts"),
        ("protocols", "a list of texts, each one of: sftp, ftps, webdav, api, portal"),
        ("ca_file", "a path"),
        ("connections", "a whole number from 1 to 64"),
        ("lockout_window_s", "a number above 0"),
    ],
)
def test_every_rule_has_its_words(name: str, expected: str) -> None:
    """What the reference and the errors say is accepted."""
    (leaf,) = (leaf for leaf in leaves() if leaf.path == ("ldap", "NAME", name))

    assert leaf.expected == expected
