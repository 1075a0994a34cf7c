"""The flat list of settings, the rendered reference and the shipped examples."""

from __future__ import annotations

from pathlib import Path

import pytest

import config.examples
from config.fields import leaves
from config.loading import load_settings
from config.reference import render
from config.toml_lines import line_of

EXAMPLES = sorted(Path(config.examples.__file__).parent.glob("*.toml"))


def test_every_setting_is_documented() -> None:
    """Each has a docstring, words for its values, and a variable of its own unless the operator names its table."""
    variables = [leaf.variable for leaf in leaves() if not leaf.named]

    assert [leaf.key for leaf in leaves() if not leaf.text or not leaf.expected] == []
    assert len(set(variables) - {None}) == len(variables)


def test_no_setting_ends_in_the_suffix_of_secret_files() -> None:
    """Otherwise ``…_FILE`` could mean two things."""
    assert [leaf.key for leaf in leaves() if leaf.variable and leaf.variable.endswith("_FILE")] == []


def test_every_default_is_what_its_own_text_loads() -> None:
    """The default that the reference prints may be given back as a variable and changes nothing."""
    environ = {leaf.variable: str(leaf.default) for leaf in leaves() if leaf.variable and leaf.default is not None}

    assert load_settings(None, environ) == load_settings(None, {})


def test_the_reference_names_every_setting() -> None:
    """Key and variable, if it has one, of each setting stand in the document."""
    text = render()

    assert [leaf.key for leaf in leaves() if f"### `{leaf.key}`" not in text] == []
    assert [
        leaf.variable for leaf in leaves() if leaf.variable and f"- Environment: `{leaf.variable}`" not in text
    ] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_load(example: Path, tmp_path: Path) -> None:
    """Every shipped example is a valid configuration (with its secret files where it says)."""
    text = example.read_text(encoding="utf-8").replace("file:/etc/quaymaster/", f"file:{tmp_path}/")
    (tmp_path / "database-url").write_text("postgresql://quaymaster:secret@db.example.org/quaymaster\n")
    (tmp_path / "ad-password").write_text("secret\n")
    (tmp_path / example.name).write_text(text, encoding="utf-8")

    assert load_settings(tmp_path / example.name, {}).data.is_absolute()


def test_there_are_examples() -> None:
    """The small site, the hospital and the container."""
    assert [path.stem for path in EXAMPLES] == ["container", "hospital", "small-site"]


TEXT = """\
workers = 2
log.level = "info"  # dotted
# [ftps] in a comment
[sftp]
port = 22
 "idle_timeout_s" = 5
[ http ]  # spaces
port = 443
tls = { key = "a=b" }
[ldap.corp]
hosts = [
  "dc=1",
]
[ldap."lab"]
"hosts" = ["dc=2"]
[ldap]
inline.hosts = []
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("workers",), 1),
        (("log", "level"), 2),
        (("sftp",), 4),
        (("sftp", "port"), 5),
        (("sftp", "idle_timeout_s"), 6),
        (("http", "port"), 8),
        (("http", "tls", "key"), 9),
        (("ldap", "corp"), 10),
        (("ldap", "corp", "hosts"), 11),
        (("ldap", "corp", "base_dn"), 10),
        (("ldap", "lab"), 14),
        (("ldap", "lab", "hosts"), 15),
        (("ldap", "lab", "base_dn"), 14),
        (("ldap", "inline", "hosts"), 17),
        (("ldap", "inline"), 16),
        (("ftps", "port"), None),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str, ...], line: int | None) -> None:
    """Tables, dotted keys, quoted keys and inline tables; a key that is not there has no line."""
    assert line_of(TEXT, path) == line
