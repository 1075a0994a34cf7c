"""What VERSION announces is served, and links are made only where the site allows them."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.sftp.handler import EXTENSIONS, HARD_LINK
from storage.files.local import LocalFilesystem
from tests.support.raw_sftp import (
    CLOSE,
    EXTENDED,
    F_CREAT,
    F_READ,
    F_TRUNC,
    F_WRITE,
    FAILURE,
    OK,
    STATUS,
    UNSUPPORTED,
    RawSftp,
    string,
)
from tests.support.sftp_site import NAME, PASSWORD, SftpSite, serving_sftp

NEW = F_READ | F_WRITE | F_CREAT | F_TRUNC
HAS_TIMES = 8
ALLOWED = {"allow_hard_links": True, "allow_symlinks": True}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def site(tmp_path: Path, home: Path) -> Iterator[SftpSite]:
    with serving_sftp(tmp_path, filesystem=LocalFilesystem(home)) as site:
        yield site


@pytest.fixture
def linking(tmp_path: Path, home: Path) -> Iterator[SftpSite]:
    """A site that allows both kinds of links."""
    with serving_sftp(tmp_path, filesystem=LocalFilesystem(home), files=ALLOWED) as site:
        yield site


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def announced(raw: RawSftp) -> dict[bytes, bytes]:
    """The names and versions in the answer to INIT."""
    rest, texts = raw.version[4:], []
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        texts.append(rest[4 : 4 + length])
        rest = rest[4 + length :]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def ask(site: SftpSite, name: bytes, body: bytes) -> int:
    """Send one extended request on a connection of its own; its status."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD, fallback=False)
        return RawSftp(transport).status(EXTENDED, string(name) + body)


def test_hard_links_are_announced_only_where_they_are_allowed(site: SftpSite, tmp_path: Path) -> None:
    """All else is announced on every site, with the versions that OpenSSH looks for."""
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD, fallback=False)
        plain = announced(RawSftp(transport))
    other = tmp_path / "other"
    other.mkdir()
    with serving_sftp(other, files={"allow_hard_links": True}) as allowing, allowing.transport() as transport:
        transport.auth_password(NAME, PASSWORD, fallback=False)
        more = announced(RawSftp(transport))

    assert plain == dict(EXTENSIONS)
    assert more == dict([*EXTENSIONS, HARD_LINK])


def test_every_announced_extension_is_served(linking: SftpSite) -> None:
    """None is answered with "unsupported"; a name that is not announced is."""
    with linking.transport() as transport:
        transport.auth_password(NAME, PASSWORD, fallback=False)
        raw = RawSftp(transport)
        answers = {name: raw.ask(EXTENDED, string(name) + string(b"/a") + string(b"/b")) for name in announced(raw)}
        unknown = raw.status(EXTENDED, string(b"none@example.com"))

    unserved = STATUS, UNSUPPORTED
    assert [name for name, (kind, body) in answers.items() if (kind, *struct.unpack(">I", body[:4])) == unserved] == []
    assert unknown == UNSUPPORTED


def test_a_hard_link_is_refused_where_it_is_not_allowed(site: SftpSite, home: Path) -> None:
    """Also to a client that asks without an announcement."""
    (home / "a").write_text("a")

    assert ask(site, HARD_LINK[0], string(b"/a") + string(b"/b")) == UNSUPPORTED
    assert names(home) == ["a"]


def test_a_hard_link_is_a_further_name_of_one_file(linking: SftpSite, home: Path) -> None:
    """The old name first; a name that is taken is left alone."""
    (home / "a").write_text("a")

    assert ask(linking, HARD_LINK[0], string(b"/a") + string(b"/b")) == OK
    assert (home / "a").samefile(home / "b")
    assert ask(linking, HARD_LINK[0], string(b"/a") + string(b"/b")) == FAILURE


def test_a_symbolic_link_works_where_it_is_allowed(linking: SftpSite, home: Path) -> None:
    """It is made, read, followed and removed; the file that it led to stays."""
    (home / "a").write_text("content")
    with linking.paramiko() as client:
        client.symlink("a", "/link")
        text = client.readlink("/link")
        with client.open("/link") as file:
            through = file.read()
        made = (home / "link").is_symlink()
        client.remove("/link")

    assert (text, through, made) == ("a", b"content", True)
    assert names(home) == ["a"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../etc/passwd", "absent"])
def test_a_symbolic_link_leads_nowhere_but_into_the_tree(linking: SftpSite, home: Path, target: str) -> None:
    """A text is a place of the session's own tree, and something must be there."""
    with linking.paramiko() as client, pytest.raises(OSError, match="No such file"):
        client.symlink(target, "/link")

    assert names(home) == []


def test_a_symbolic_link_is_refused_where_it_is_not_allowed(site: SftpSite, home: Path) -> None:
    """As it is by default; nor is the text of one told that is on the disk."""
    (home / "a").write_text("a")
    (home / "link").symlink_to("a")
    with site.paramiko() as client:
        with pytest.raises(OSError, match="not supported"):
            client.symlink("a", "/made")
        with pytest.raises(OSError, match="not supported"):
            client.readlink("/link")

    assert names(home) == ["a", "link"]


def test_fsync_reaches_the_disk(site: SftpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync@openssh.com syncs the upload's own file before it answers; a handle that is none is refused."""
    synced: list[int] = []
    monkeypatch.setattr("storage.files.local_writer.os.fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    with site.transport() as transport:
        transport.auth_password(NAME, PASSWORD, fallback=False)
        raw = RawSftp(transport)
        handle = raw.open(b"/a", NEW)
        raw.write(handle, 0, b"12345")

        assert synced == []
        assert raw.status(EXTENDED, string(b"fsync@openssh.com") + handle) == OK
        assert synced == [5]
        assert raw.status(EXTENDED, string(b"fsync@openssh.com") + string(b"none")) == FAILURE
        assert raw.status(CLOSE, handle) == OK


def test_lsetstat_sets_times(site: SftpSite, home: Path) -> None:
    """lsetstat@openssh.com, as ``sftp put -p`` of newer clients sends it."""
    (home / "a").write_text("a")
    times = struct.pack(">III", HAS_TIMES, 1_400_000_000, 1_500_000_000)

    assert ask(site, b"lsetstat@openssh.com", string(b"/a") + times) == OK
    assert (home / "a").stat().st_mtime == 1_500_000_000


def test_links_are_shown_as_links_where_they_are_allowed(linking: SftpSite, home: Path) -> None:
    """A client that removes a tree must not walk through a link and empty what it leads to."""
    (home / "real").mkdir()
    (home / "real" / "file").write_text("content")
    with linking.paramiko() as client:
        client.symlink("real", "/link")
        about, followed = client.lstat("/link"), client.stat("/link")
        (listed,) = (entry for entry in client.listdir_attr("/") if entry.filename == "link")
        inside = client.listdir("/link")

    assert (stat.S_IFMT(about.st_mode or 0), about.st_size) == (stat.S_IFLNK, len("real"))
    assert (stat.S_IFMT(listed.st_mode or 0), listed.st_size) == (stat.S_IFLNK, len("real"))
    assert listed.longname.startswith("l")
    assert stat.S_ISDIR(followed.st_mode or 0)
    assert inside == ["file"]


def test_links_are_what_they_lead_to_where_they_are_not_allowed(site: SftpSite, home: Path) -> None:
    """What an administrator linked inside a root looks like a plain directory; what leads out is not there."""
    (home / "real").mkdir()
    (home / "link").symlink_to("real")
    (home / "out").symlink_to("/etc")
    with site.paramiko() as client:
        about = client.lstat("/link")
        listed = {entry.filename: entry.st_mode or 0 for entry in client.listdir_attr("/")}
        with pytest.raises(FileNotFoundError):
            client.lstat("/out")

    assert stat.S_ISDIR(about.st_mode or 0)
    assert {name: stat.S_ISDIR(mode) for name, mode in listed.items()} == {"link": True, "real": True}


@pytest.mark.parametrize("target", ["/etc", "gone"])
def test_links_that_lead_out_or_nowhere_are_not_there(linking: SftpSite, home: Path, target: str) -> None:
    """Also where links are allowed: their text is the business of nobody outside the machine."""
    (home / "link").symlink_to(target)
    with linking.paramiko() as client:
        for ask_for in (client.lstat, client.readlink):
            with pytest.raises(FileNotFoundError):
                ask_for("/link")

        assert client.listdir("/") == []
