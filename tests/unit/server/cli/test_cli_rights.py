"""``quaymaster group``, ``folder`` and ``grant``."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.files.permissions import PRESETS
from tests.support.cli import Cli


@pytest.fixture
def site(cli: Cli, tmp_path: Path) -> Cli:
    """A user in a group, and a shared folder."""
    cli.ok("user", "add", "anna", "--method", "none")
    cli.ok("group", "add", "staff")
    cli.ok("group", "add-member", "staff", "anna")
    (tmp_path / "shared").mkdir()
    cli.ok("folder", "add", "plans", "--root", str(tmp_path / "shared"), "--quota", "10G")
    return cli


def test_groups_and_members(site: Cli) -> None:
    """Members are listed with the source that put them there; leaving ends it."""
    assert site.ok("group", "show", "staff")["members"] == [{"name": "anna", "owner": "manual", "status": "active"}]
    assert [(row["name"], row["members"]) for row in site.ok("group", "list")] == [("staff", 1)]

    left = site.ok("group", "remove-member", "staff", "anna")

    assert (left["member"], left["owners"]) == (False, [])
    assert site.ok("group", "show", "staff")["members"] == []
    assert site.ok("group", "delete", "staff")["deleted"] == "staff"
    assert site.ok("group", "list") == []
    assert "no group" in site.run("group", "show", "staff").err


def test_folders(site: Cli, tmp_path: Path) -> None:
    """A folder is a directory with a quota; deleting it leaves the directory."""
    (folder,) = site.ok("folder", "list")

    assert folder["options"] == {"root": str(tmp_path / "shared")}
    assert folder["quota_bytes"] == 10 * 1024**3
    assert site.ok("folder", "delete", "plans")["deleted"] == "plans"
    assert (tmp_path / "shared").is_dir()
    assert "no folder" in site.run("folder", "delete", "plans").err


def test_a_folder_never_shows_keys_or_the_database(site: Cli) -> None:
    """Neither the data folder, nor what holds it, nor its inside, nor a link to it; nor what is no directory."""
    holder = site.data.parent
    (site.data / "keys").mkdir()
    (holder / "link").symlink_to(site.data)
    (holder / "file").touch()

    for root in (site.data, holder, site.data / "keys", holder / "link", holder / "file", holder / "absent"):
        said = site.run("folder", "add", "f", "--root", str(root))
        assert (said.code, root) == (1, root)
    assert [row["name"] for row in site.ok("folder", "list")] == ["plans"]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_is_stored_as_its_rights(site: Cli, preset: str) -> None:
    """A grant of a preset holds exactly its rights."""
    grant = site.ok("grant", "add", "--group=staff", "--path=/plans", "--folder=plans", f"--preset={preset}")

    assert grant["allow"] == sorted(PRESETS[preset])
    assert (grant["user"], grant["group"], grant["path"], grant["folder"]) == (None, "staff", "/plans", "plans")


def test_single_rights_add_up_with_a_preset(site: Cli) -> None:
    """``--allow`` adds to the preset, ``--deny`` is kept apart; the path is normal."""
    grant = site.ok(
        "grant",
        "add",
        "--user=anna",
        "--path=plans//x/../",
        "--preset=read-only",
        "--allow=create,make_directory",
        "--deny=list",
    )

    assert grant["path"] == "/plans"
    assert grant["allow"] == ["create", "list", "make-directory", "read"]
    assert grant["deny"] == ["list"]


def test_a_grant_is_replaced_and_deleted(site: Cli) -> None:
    """The same holder, path and folder have one grant; after delete there is none."""
    site.ok("grant", "add", "--user=anna", "--path=/p", "--preset=full")
    grant = site.ok("grant", "add", "--user=anna", "--path=/p", "--preset=none")

    assert [row["id"] for row in site.ok("grant", "list", "--user=anna")] == [grant["id"]]
    assert site.ok("grant", "delete", grant["id"])["deleted"] == grant["id"]
    assert site.ok("grant", "list") == []
    assert site.run("grant", "delete", grant["id"]).code == 1


def test_effective_grants_include_those_of_groups(site: Cli) -> None:
    """``--effective`` answers what counts for the user."""
    site.ok("grant", "add", "--group=staff", "--path=/plans", "--folder=plans", "--preset=read-only")

    assert site.ok("grant", "list", "--user=anna") == []
    assert [row["group"] for row in site.ok("grant", "list", "--user=anna", "--effective")] == ["staff"]
    assert [row["group"] for row in site.ok("user", "show", "anna")["grants"]] == ["staff"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--path=/p", "--preset=full"], "one user or one group"),
        (["--path=/p", "--preset=full", "--user=anna", "--group=staff"], "one user or one group"),
        (["--path=/p", "--user=anna"], "needs rights"),
        (["--path=/p", "--user=anna", "--preset=most"], "is no preset"),
        (["--path=/p", "--user=anna", "--allow=fly"], "unknown right"),
        (["--path=/a\x00b", "--user=anna", "--preset=full"], "is no path"),
        (["--path=/p", "--user=anna", "--preset=full", "--folder=none"], "no folder"),
    ],
)
def test_a_bad_grant_is_told(site: Cli, arguments: list[str], word: str) -> None:
    """Exit code 1, the reason, and nothing written."""
    said = site.run("grant", "add", *arguments)

    assert said.code == 1
    assert word in said.err
    assert site.ok("grant", "list") == []
