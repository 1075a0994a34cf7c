"""Each command against the running worker: its reply, and what it did to the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.files.path import VirtualPath
from storage.files.permissions import PRESETS, Right
from tests.support.ftps_site import FtpsSite, serving_ftps
from tests.support.raw_ftp import RawFtp


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


@pytest.fixture
def client(site: FtpsSite) -> Iterator[RawFtp]:
    with RawFtp(site) as client:
        yield client.login()


def test_feat_is_truthful(client: RawFtp) -> None:
    """What FEAT names works, and REIN and MODE Z are not named."""
    features = {line.strip() for line in client.ask("FEAT").splitlines()[1:-1]}

    assert features == {
        "AUTH TLS", "AVBL", "CLNT", "EPRT", "EPSV", "MDTM", "MFMT", "MLST type*;perm*;size*;modify*;", "PBSZ", "PROT",
        "REST STREAM", "SIZE", "TVFS", "UTF8",
    }  # fmt: skip


def test_directories(site: FtpsSite, client: RawFtp) -> None:
    """MKD, CWD, CDUP, PWD and RMD, by absolute and relative names, and quotes are doubled."""
    assert client.ask('MKD /a"b').startswith('257 "/a""b"')
    assert client.ask('CWD a"b').startswith('250 "/a""b"')
    assert client.ask("MKD c").startswith("257 ")
    assert client.ask("PWD").startswith('257 "/a""b"')
    assert client.ask('RMD /a"b').startswith("550 ")
    assert client.ask("RMD c").startswith("250 ")
    assert client.ask("CDUP").startswith('250 "/"')
    assert client.ask("CWD ../../..").startswith('250 "/"')
    assert client.ask("CWD /nowhere").startswith("550 ")
    assert client.ask('RMD a"b').startswith("250 ")
    assert client.ask("RMD /").startswith("550 ")
    assert client.ask("MKD /x/y").startswith("550 ")
    assert site.names() == []


def test_cwd_to_a_file_is_refused(site: FtpsSite, client: RawFtp) -> None:
    """550, and the place stays."""
    site.put("/a", b"data")

    assert client.ask("CWD /a").startswith("550 ")
    assert client.ask("PWD").startswith('257 "/"')


def test_the_process_stays_where_it_is(site: FtpsSite, client: RawFtp, monkeypatch: pytest.MonkeyPatch) -> None:
    """CWD never moves the process (pyftpdlib does, and with threads that is a race)."""
    moves: list[object] = []
    monkeypatch.setattr("os.chdir", moves.append)
    client.ask("MKD /etc")

    assert client.ask("CWD /etc").startswith("250 ")
    assert moves == []


def test_rename_replaces_as_common_servers_do(site: FtpsSite, client: RawFtp) -> None:
    """RNTO onto a file replaces it; without RNFR it is 503; from nowhere it is 550."""
    site.put("/a", b"new")
    site.put("/b", b"old")
    assert client.ask("RNTO /c").startswith("503 ")
    assert client.ask("RNFR /nowhere").startswith("550 ")
    assert client.ask("RNFR /a").startswith("350 ")
    assert client.ask("RNTO /b").startswith("250 ")

    assert (site.names(), site.get("/b")) == (["b"], b"new")
    assert client.ask("RNTO /c").startswith("503 ")


def test_rename_needs_the_right_to_overwrite(site: FtpsSite) -> None:
    """Without OVERWRITE, RNTO onto a file is refused and changes nothing."""
    site.sign_in.rights = frozenset(Right) - {Right.OVERWRITE}
    site.put("/a", b"new")
    site.put("/b", b"old")
    with RawFtp(site).login() as client:
        client.ask("RNFR /a")
        assert client.ask("RNTO /b").startswith("550 ")
        client.ask("RNFR /a")
        assert client.ask("RNTO /c").startswith("250 ")

        assert (site.names(), site.get("/b")) == (["b", "c"], b"old")


def test_facts_and_times(site: FtpsSite, client: RawFtp) -> None:
    """SIZE, MFMT, MDTM and MLST agree; directories have no size and no time to set by mistake."""
    site.put("/a b", b"12345")
    assert client.ask("SIZE /a b") == "213 5"
    assert client.ask("MFMT 20200229235959 /a b").startswith("213 Modify=20200229235959;")
    assert client.ask("MDTM /a b") == "213 20200229235959"
    assert "modify=20200229235959;perm=adfrw;size=5;type=file; /a b" in client.ask("MLST /a b")
    assert "type=dir; /" in client.ask("MLST")
    assert client.ask("SIZE /").startswith("550 ")
    assert client.ask("MDTM /nowhere").startswith("550 ")


@pytest.mark.parametrize("time", ["20201301000000", "2020", "99999999999999", "20200101000000x", "-2020010100000"])
def test_a_nonsense_time_is_refused(site: FtpsSite, client: RawFtp, time: str) -> None:
    """501, and nothing was set."""
    site.put("/a", b"data")
    before = client.ask("MDTM /a")

    assert client.ask(f"MFMT {time} /a").startswith("501 ")
    assert client.ask("MDTM /a") == before


def test_deleting(site: FtpsSite, client: RawFtp) -> None:
    """DELE removes files only; RMD directories only."""
    site.put("/a", b"data")
    client.ask("MKD /d")
    assert client.ask("RMD /a").startswith("550 ")
    assert client.ask("DELE /d").startswith("550 ")
    assert client.ask("DELE /a").startswith("250 ")
    assert client.ask("DELE /a").startswith("550 ")

    assert site.names() == ["d"]


def test_mirroring_clients_may_send_modes(site: FtpsSite, client: RawFtp) -> None:
    """SITE CHMOD is accepted without effect (2yz), for what is there."""
    site.put("/a", b"data")

    assert client.ask("SITE CHMOD 644 /a").startswith("202 ")
    assert client.ask("SITE CHMOD rwx /a").startswith("501 ")
    assert client.ask("SITE CHMOD 644 /nowhere").startswith("550 ")
    assert client.ask("SITE EXEC id").startswith("500 ")


def test_listings(site: FtpsSite, client: RawFtp) -> None:
    """LIST, NLST and MLSD of a directory; ls options are ignored; a file lists itself."""
    site.put("/b", b"12")
    site.put("/a", b"1")
    client.ask("MKD /-la")
    assert client.download("NLST")[0] == b"-la\r\na\r\nb\r\n"
    for command in ("LIST", "LIST -la", "LIST -a /", "LIST /"):
        lines = client.download(command)[0].decode().splitlines()
        assert [line.split()[-1] for line in lines] == ["-la", "a", "b"]
        assert [line[0] for line in lines] == ["d", "-", "-"]
    assert client.download("LIST a")[0].endswith(b" a\r\n")
    assert client.download("MLSD")[0].decode().splitlines()[1].endswith("size=1;type=file; a")
    assert client.download("LIST ./-la")[0] == b""
    sock = client.connect()
    assert client.ask("LIST /nowhere").startswith("550 ")
    assert client.ask("MLSD /a").startswith("501 ")
    sock.close()
    assert " a" in client.ask("STAT /")


def test_a_large_directory_is_listed_whole(site: FtpsSite, client: RawFtp) -> None:
    """Thousands of entries arrive, sorted and complete."""
    for number in range(3000):
        site.put(f"/{number:05}", b"")

    assert client.download("NLST")[0].decode().split() == [f"{number:05}" for number in range(3000)]
    assert len(client.download("MLSD")[0].splitlines()) == 3000


def test_mlst_shows_the_facts_asked_for(site: FtpsSite, client: RawFtp) -> None:
    """OPTS MLST chooses them, and FEAT stars the chosen ones."""
    site.put("/a", b"1")
    client.ask("OPTS MLST type;size;")

    assert client.download("MLSD")[0] == b"size=1;type=file; a\r\n"
    assert "MLST type*;perm;size*;modify;" in client.ask("FEAT")


def test_the_perm_fact_tells_the_users_rights(site: FtpsSite) -> None:
    """A read-only user sees r for files and el for directories (RFC 3659 section 7.5.5)."""
    site.put("/a", b"1")
    site.filesystem.mkdir(VirtualPath.parse("/d"))
    site.sign_in.rights = PRESETS["read-only"]
    with RawFtp(site).login() as client:
        client.ask("OPTS MLST perm;")

        assert sorted(client.download("MLSD")[0].splitlines()) == [b"perm=el; d", b"perm=r; a"]
        for line in ("DELE /a", "MKD /x", "RMD /d", "MFMT 20200101000000 /a"):
            assert client.ask(line).startswith("550 "), line
        sock = client.connect()
        for line in ("STOR /a", "STOR /new", "APPE /a", "STOU"):
            assert client.ask(line).startswith("550 "), line
        sock.close()
        assert site.get("/a") == b"1"


def test_a_drop_box_takes_files_and_shows_none(site: FtpsSite) -> None:
    """Upload-only: a new file may come, an old one can be neither read nor replaced."""
    site.put("/old", b"old")
    site.sign_in.rights = PRESETS["upload-only"]
    with RawFtp(site).login() as client:
        assert client.upload("STOR /new", b"new").startswith("226 ")
        sock = client.connect()
        assert client.ask("RETR /old").startswith("550 ")
        assert client.ask("STOR /old").startswith("550 ")
        sock.close()

        assert (site.get("/old"), site.get("/new")) == (b"old", b"new")


def test_available_space(client: RawFtp) -> None:
    """AVBL gives bytes, here and elsewhere."""
    assert int(client.ask("AVBL").removeprefix("213 ")) > 0
    assert int(client.ask("AVBL /").removeprefix("213 ")) > 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("TYPE E", "504"),
        ("TYPE I", "200"),
        ("TYPE A N", "200"),
        ("MODE S", "200"),
        ("MODE Z", "501"),
        ("STRU F", "200"),
        ("STRU R", "504"),
        ("REST -1", "501"),
        ("REST ٣", "501"),
        ("REST " + "9" * 5000, "501"),
        ("ALLO " + "9" * 5000, "501"),
        ("SITE CHMOD " + "7" * 5000 + " /", "501"),
        ("ALLO many", "501"),
        ("ALLO 10 R 10", "200"),
        ("NONSENSE", "500"),
        ("MKD", "501"),
        ("PWD now", "501"),
        ("REIN", "500"),
        ("HELP", "214"),
        ("SITE HELP", "214"),
        ("OPTS UTF8 OFF", "200"),
        ("", "500"),
    ],
)
def test_other_replies(client: RawFtp, line: str, code: str) -> None:
    """Codes of RFC 959 for what is known, refused and unknown."""
    assert client.ask(line)[:3] == code
    assert client.ask("NOOP").startswith("200 ")


def test_a_line_that_is_too_long_is_refused_as_a_whole(site: FtpsSite, client: RawFtp) -> None:
    """500 once, and its tail is no command (in pyftpdlib it is)."""
    site.put("/a", b"data")
    client.sock.sendall(b"MKD " + b"x" * 50_000 + b"DELE /a\r\nNOOP\r\n")

    assert client.reply().startswith("500 ")
    assert client.reply().startswith("200 ")
    assert site.names() == ["a"]


def test_a_client_that_reads_nothing_is_not_read_from(site: FtpsSite) -> None:
    """Replies are not piled up without limit: the server stops reading, and goes on when the client does."""
    with RawFtp(site).login() as client:
        client.sock.setblocking(False)
        sent, block = 0, b"HELP\r\n" * 1000
        try:
            while sent < 20_000_000:
                sent += client.sock.send(block)
        except (BlockingIOError, OSError):
            pass

        assert sent < 20_000_000


def test_storage_errors_end_no_session(site: FtpsSite, client: RawFtp) -> None:
    """A refused command is a reply; the next one is heard."""
    for line in ("CWD /x", "MKD /\x01", "DELE " + "x" * 300, "SIZE /" + "y/" * 3000, "RNFR /z"):
        assert client.ask(line)[:3] in {"550", "553"}

    assert client.ask("PWD").startswith("257 ")
