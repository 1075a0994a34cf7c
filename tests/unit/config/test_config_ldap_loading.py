"""Tables ``[ldap.NAME]``: how they are read, what each mistake is told, and how they are documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError, Problem
from config.fields import leaves, leaves_of, section_text, template
from config.ldap import LdapProvider, Vendor
from config.loading import load, load_settings
from config.reference import render

CORP = """\
[ldap.corp]
hosts = ["dc1.example.org", "dc2.example.org:636"]
vendor = "active-directory"
base_dn = "dc=example,dc=org"
bind_user = "svc@example.org"
bind_password = "hunter2"
"""


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "quaymaster.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def refused(file: Path | None, environ: dict[str, str] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ or {})
    assert "hunter2" not in f"{caught.value} {caught.value!r}"
    return caught.value.problems


# Reading ------------------------------------------------------------------------------------------


def test_every_table_is_a_provider(toml) -> None:
    """Under the name in its header, quoted or not; each value keeps its own source."""
    file = toml(CORP + CORP.replace("ldap.corp", 'ldap."lab-2"'))

    loaded = load(file, {})

    assert list(loaded.settings.ldap) == ["corp", "lab-2"]
    assert loaded.settings.ldap["corp"].vendor is Vendor.ACTIVE_DIRECTORY
    assert loaded.settings.ldap["corp"].hosts == ("dc1.example.org", "dc2.example.org:636")
    assert loaded.sources["ldap.corp.base_dn"] == f"{file}:4"
    assert loaded.sources["ldap.lab-2.base_dn"] == f"{file}:10"


def test_tables_may_be_written_inline_or_with_dotted_keys(toml) -> None:
    """As TOML has it; the line is then at worst that of the table above."""
    inner = ", ".join(CORP.splitlines()[1:])
    dotted = "\n".join(f"ldap.lab.{line}" for line in CORP.splitlines()[1:])

    loaded = load(toml(f"{dotted}\nldap.corp = {{ {inner} }}\n"), {})

    assert loaded.settings.ldap["corp"] == loaded.settings.ldap["lab"]
    assert loaded.sources["ldap.lab.vendor"].endswith(":2")
    assert loaded.sources["ldap.corp.vendor"].endswith(":6")


def test_no_table_is_no_provider(toml) -> None:
    """Neither an empty configuration nor an empty ``[ldap]`` makes one."""
    assert load_settings(None, {}).ldap == {}
    assert load_settings(toml("[ldap]\n"), {}).ldap == {}


def test_a_relative_ca_file_starts_at_the_file(toml, tmp_path: Path) -> None:
    """As every path in the TOML file does."""
    settings = load_settings(toml(f'{CORP}ca_file = "tls/ca.pem"\n'), {})

    assert settings.ldap["corp"].ca_file == tmp_path / "tls/ca.pem"


@pytest.mark.parametrize(("reference", "where"), [("file:pw", "file:pw"), ("env:AD_PW", "env:AD_PW")])
def test_the_password_may_be_a_reference(toml, tmp_path: Path, reference: str, where: str) -> None:
    """To a file beside the TOML file, or to a variable; the source says which, and not what it holds."""
    (tmp_path / "pw").write_text("s3cret\n")
    file = toml(CORP.replace("hunter2", reference))

    loaded = load(file, {"AD_PW": "s3cret"})

    assert loaded.settings.ldap["corp"].bind_password == "s3cret"
    assert loaded.sources["ldap.corp.bind_password"] == f"{file}:6 ({where})"


# Mistakes -----------------------------------------------------------------------------------------


def test_an_unknown_key_is_told_with_the_nearest(toml) -> None:
    """With its line, and with the known keys of the table under its own name."""
    file = toml(f'{CORP}user_fliter = "(uid=*)"\nport = 636\n')

    nearest, far = refused(file)

    assert (nearest.source, nearest.key, nearest.nearest) == (
        f"{file}:7",
        "ldap.corp.user_fliter",
        "ldap.corp.user_filter",
    )
    assert nearest.message.startswith("unknown key. Known keys of [ldap.corp]: alias_attributes, base_dn, bind_")
    assert (far.source, far.key, far.nearest) == (f"{file}:8", "ldap.corp.port", None)


@pytest.mark.parametrize("name", ["Corp", "NAME", "9", "-a", "a_b", "a.b", "", "é", "[key]", "a" * 33])
def test_a_bad_name_is_told_at_the_table(toml, name: str) -> None:
    """With the rule, and once; the settings inside are judged all the same."""
    file = toml(CORP.replace("ldap.corp", f'ldap."{name}"') + "connections = 0\n")

    said = {problem.key: problem for problem in refused(file)}

    assert set(said) == {f"ldap.{name}", f"ldap.{name}.connections"}
    assert said[f"ldap.{name}"].source.startswith(str(file))
    assert "a provider's name is a small letter, then small letters, digits and -, at most 32" in str(
        said[f"ldap.{name}"]
    )


def test_a_bad_name_is_told_with_its_line(toml) -> None:
    """That of the header."""
    file = toml("workers = 1\n" + CORP.replace("ldap.corp", "ldap.Corp"))

    assert [(problem.source, problem.key) for problem in refused(file)] == [(f"{file}:2", "ldap.Corp")]


def test_what_is_required_is_told_at_the_table(toml) -> None:
    """Each missing key with its whole name, at the header's line, and with what is expected there."""
    file = toml("workers = 1\n[ldap.corp]\n")

    problems = refused(file)

    assert [problem.key for problem in problems] == [
        "ldap.corp.hosts",
        "ldap.corp.vendor",
        "ldap.corp.base_dn",
        "ldap.corp.bind_user",
        "ldap.corp.bind_password",
    ]
    assert {problem.source for problem in problems} == {f"{file}:2"}
    assert str(problems[2]) == (
        f"{file}:2: ldap.corp.base_dn: required, and not given: "
        "expected a distinguished name such as dc=example,dc=org."
    )


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("connections = true", "connections", "expected a whole number from 1 to 64."),
        ("connections = 65", "connections", "expected a whole number from 1 to 64."),
        ("timeout_s = inf", "timeout_s", "expected a number from 1 to 30."),
        ('security = "none"', "security", "expected one of: ldaps, starttls."),
        ('groups_include = "*"', "groups_include", "expected a list of texts."),
        ("groups_include = [1]", "groups_include", "expected a list of texts."),
        ('protocols = ["ftp"]', "protocols", "each one of: sftp, ftps, webdav, api, portal ('ftp' is none of them)."),
        ('alias_attributes = ["a b"]', "alias_attributes", "each the name of an LDAP attribute ('a b' is not"),
        ('user_filter = "uid=*"', "user_filter", "expected an LDAP filter in parentheses ('uid=*' does not"),
        ('user_base_dn = "here"', "user_base_dn", "expected a distinguished name such as"),
        ('ca_file = "a\\u0000b"', "ca_file", "expected a path (it holds a NUL character)."),
    ],
)
def test_a_bad_value_is_told_with_what_was_expected(toml, line: str, key: str, expected: str) -> None:
    """The message holds the line, the key, the value and the accepted values in words."""
    file = toml(f"{CORP}{line}\n")

    (problem,) = refused(file)

    assert (problem.source, problem.key) == (f"{file}:7", f"ldap.corp.{key}")
    assert expected in problem.message
    assert problem.value is not None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('""', "expected a text of 1 to 1024 characters."),
        (f'"{"hunter2" * 200}"', "expected a text of 1 to 1024 characters."),
        ('["hunter2"]', "expected a text of 1 to 1024 characters."),
        ("{ a = 'hunter2' }", "expected a text of 1 to 1024 characters."),
        ("true", "expected a text of 1 to 1024 characters."),
        ('"file:absent"', "No such file"),
        ('"env:ABSENT"', "the environment variable ABSENT is not set"),
    ],
)
def test_a_bad_password_is_told_once_and_not_shown(toml, given: str, expected: str) -> None:
    """Whatever is wrong with it; one that was given and could not be had is not called missing as well."""
    file = toml(CORP.replace('"hunter2"', given))

    (problem,) = refused(file)

    assert (problem.source, problem.key, problem.value) == (f"{file}:6", "ldap.corp.bind_password", None)
    assert expected in problem.message


def test_a_password_in_a_wrong_place_is_not_shown(toml) -> None:
    """A misspelt key, a table that was left out, a value for the table."""
    refused(toml(CORP.replace("bind_password", "bind_pasword")))
    refused(toml(CORP.replace("[ldap.corp]", "[ldap]")))
    refused(toml(CORP.replace("[ldap.corp]", "[ldap.corp.more]")))
    refused(toml('ldap = "hunter2"'))
    refused(toml('[ldap]\ncorp = "hunter2"'))


def test_rules_between_settings_name_the_table(toml) -> None:
    """Of the right provider, with its line."""
    double = CORP.replace("dc2.example.org", "DC1.example.org")
    custom = CORP.replace("active-directory", "custom").replace("ldap.corp", "ldap.lab")
    file = toml(f'{double}{custom}id_attribute = "uid"\n')

    assert [str(problem) for problem in refused(file)] == [
        f"{file}:1: ldap.corp: hosts names the same server twice.",
        (
            f"{file}:7: ldap.lab: vendor custom needs user_filter, group_filter, login_attribute too: "
            "there is no preset to take them from."
        ),
    ]


def test_a_value_that_was_not_taken_breaks_no_further_rule(toml) -> None:
    """Only the mistake itself is told, and not what follows from the value's absence."""
    custom = CORP.replace("active-directory", "custom") + 'group_filter = "(a=b)"\nid_attribute = "a"\n'
    file = toml(f'{custom}login_attribute = "uid"\nuser_filter = true\n[tls]\nkey = "k"\ncertificate = true\n')

    assert [problem.key for problem in refused(file)] == ["ldap.corp.user_filter", "tls.certificate"]


@pytest.mark.parametrize(
    ("text", "key", "message", "nearest"),
    [
        ("ldap = 5", "ldap", "expected tables [ldap.NAME], each with a name of your choice.", None),
        ("[[ldap]]\nhosts = []", "ldap", "expected tables [ldap.NAME], each with a name of your choice.", None),
        (
            "[ldap]\nhosts = []",
            "ldap.hosts",
            "expected a table [ldap.hosts]; settings stand in [ldap.NAME].",
            "ldap.NAME.hosts",
        ),
        ("[ldap]\ncorp = 1", "ldap.corp", "expected a table [ldap.corp]; settings stand in [ldap.NAME].", None),
        ("[ldpa.corp]\nhosts = []", "ldpa", "unknown key. Known keys of the top level: auth, ", "ldap"),
    ],
)
def test_a_table_that_was_left_out_is_explained(toml, text: str, key: str, message: str, nearest: str | None) -> None:
    """The usual mistakes about tables lead to the right header."""
    (problem,) = refused(toml(text))

    assert (problem.key, problem.nearest) == (key, nearest)
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    "variable",
    [
        "QUAYMASTER_LDAP__CORP__HOSTS",
        "QUAYMASTER_LDAP__CORP__BIND_PASSWORD_FILE",
        "QUAYMASTER_LDAP_X",
        "QUAYMASTER_LDAP",
    ],
)
def test_providers_have_no_variables(variable: str) -> None:
    """Whoever tries one is told where providers are set; the value is not shown."""
    (problem,) = refused(None, {variable: "hunter2"})

    assert problem.source == f"environment variable {variable}"
    assert problem.message.startswith("unknown variable. Providers are set in tables [ldap.NAME] and [sso.NAME] of the")
    assert "`quaymaster provider add`" in problem.message


def test_mistakes_of_several_providers_come_together(toml) -> None:
    """With those of all other sources."""
    broken = CORP.replace('vendor = "active-directory"\n', "")
    file = toml(f"{broken}{CORP.replace('ldap.corp', 'ldap.lab')}timeout_s = 0\n")

    said = {(problem.source, problem.key) for problem in refused(file, {"QUAYMASTER_WORKERS": "0"})}

    assert said == {
        (f"{file}:1", "ldap.corp.vendor"),
        (f"{file}:12", "ldap.lab.timeout_s"),
        ("environment variable QUAYMASTER_WORKERS", "workers"),
    }


# The flat list and the reference ------------------------------------------------------------------


def test_each_setting_of_a_provider_is_listed_once() -> None:
    """With a placeholder for the provider's name, and without a variable."""
    named = [leaf for leaf in leaves() if leaf.named and leaf.path[0] == "ldap"]

    assert [leaf.path for leaf in named] == [("ldap", "NAME", name) for name in LdapProvider.model_fields]
    assert {leaf.variable for leaf in named} == {None}
    assert [leaf.path[-1] for leaf in named if leaf.required] == [
        "hosts",
        "vendor",
        "base_dn",
        "bind_user",
        "bind_password",
    ]
    assert [leaf.path[-1] for leaf in named if leaf.secret] == ["bind_password"]
    assert section_text(("ldap", "NAME")) == LdapProvider.__doc__


def test_the_settings_of_a_tree_have_their_real_names(toml) -> None:
    """Those of a named table come once for each provider, and read and show its values."""
    settings = load_settings(toml(CORP + CORP.replace("ldap.corp", "ldap.lab")), {})

    found = {leaf.key: leaf.shown(leaf.value(settings)) for leaf in leaves_of(settings)}

    others = [leaf for leaf in leaves() if leaf.path[0] != "ldap" and not leaf.named]
    assert len(found) == len(others) + 2 * len(LdapProvider.model_fields)
    assert found["ldap.lab.hosts"] == ["dc1.example.org", "dc2.example.org:636"]
    assert found["ldap.corp.bind_password"] == "***"
    assert "ldap.NAME.hosts" not in found


def test_the_placeholder_stands_only_for_the_name() -> None:
    """Paths elsewhere stay what they are."""
    assert template(("ldap", "corp", "hosts")) == ("ldap", "NAME", "hosts")
    assert template(("ldap", "corp")) == ("ldap", "NAME")
    assert template(("ldap",)) == ("ldap",)
    assert template(("sftp", "port")) == ("sftp", "port")


def test_the_defaults_of_the_reference_are_those_of_a_provider(toml) -> None:
    """What is printed as a default may be written into the table and changes nothing."""
    printed = render().partition("## `[ldap.NAME]`")[2].partition("## `[sso")[0].split("### `ldap.NAME.")[1:]
    given = [(part.partition("`")[0], part.partition("- Default: `")[2].partition("`")[0]) for part in printed]
    lines = [
        f"{name} = {default if default[0] in '[0123456789' else repr(default)}" for name, default in given if default
    ]

    assert len(lines) == sum(leaf.named and leaf.path[0] == "ldap" and leaf.default is not None for leaf in leaves())
    assert load_settings(toml("\n".join([CORP, *lines])), {}) == load_settings(toml(CORP), {})


def test_the_reference_documents_providers() -> None:
    """Under one heading with the model's words, what is required, and how to do without variables."""
    section = render().partition("## `[ldap.NAME]`\n")[2].partition("\n## ")[0]
    required = section.partition("### `ldap.NAME.base_dn`")[2].partition("###")[0]

    assert section.strip().startswith(str(LdapProvider.__doc__))
    assert "no environment variables" in section
    assert "- Environment" not in section
    assert "- Default: none, it is required" in required
    assert "### `ldap.NAME.bind_password` (secret)" in section
    assert "- Value: a text of 1 to 1024 characters, or a `file:` or `env:` reference" in section
