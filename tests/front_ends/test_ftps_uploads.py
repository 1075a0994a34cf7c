"""An upload is complete on proof only; everything else leaves what was there."""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.ftps.data_channel import DataChannel
from server.ftps.transfers import Incoming
from storage.files.memory import MemoryFilesystem
from tests.support.ftps_site import FtpsSite, serving_ftps
from tests.support.raw_ftp import RawFtp, cut_off, read_to_the_end, reset, send_without_end
from tests.support.waiting import eventually

OLD = b"the old content"
PART = b"x" * 300_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


def test_close_notify_completes_an_upload(site: FtpsSite) -> None:
    """226 comes when the file is there, not before."""
    with RawFtp(site).login() as client:
        reply = client.upload("STOR /a", PART)

        assert reply.startswith("226 ")
        assert site.get("/a") == PART


@pytest.mark.parametrize("end", [reset, cut_off], ids=["reset", "fin-without-close-notify"])
@pytest.mark.parametrize("command", ["STOR", "APPE"])
def test_a_broken_data_connection_is_no_end_of_an_upload(
    site: FtpsSite, end: Callable[[socket.socket], None], command: str
) -> None:
    """RST, and FIN without close_notify: 426, and what was there stays (pyftpdlib says 226 to both)."""
    site.put("/a", OLD)
    with RawFtp(site).login() as client:
        data = client.start_upload(f"{command} /a")
        data.sendall(PART)
        end(data)

        assert client.reply().startswith("426 ")
        assert site.get("/a") == OLD


def test_a_lenient_site_takes_a_fin_for_the_end_but_never_a_reset(tmp_path: Path) -> None:
    """With require_close_notify off, a client that just closes is served; one that is reset is not."""
    with serving_ftps(tmp_path, require_close_notify=False) as site, RawFtp(site).login() as client:
        data = client.start_upload("STOR /closed")
        data.sendall(PART)
        cut_off(data)
        assert client.reply().startswith("226 ")
        data = client.start_upload("STOR /reset")
        data.sendall(PART)
        reset(data)
        assert client.reply().startswith("426 ")

        assert site.names() == ["closed"]


def test_storing_changes_nothing_until_everything_has_come(site: FtpsSite) -> None:
    """STOR does not truncate at command time, nor while bytes arrive; nobody else sees the upload."""
    site.put("/a", OLD)
    with RawFtp(site).login() as client, RawFtp(site).login("bob", "battery staple") as other:
        sock = client.connect()
        assert client.ask("STOR /a")[:4] in {"150 ", "125 "}
        assert site.get("/a") == OLD
        assert client.ask("ABOR").startswith("426 ")
        assert client.reply().startswith("226 ")
        sock.close()
        data = client.start_upload("STOR /b")
        data.sendall(PART)
        eventually(lambda: client.ask("SIZE /b") == f"213 {len(PART)}", what="the bytes to arrive")

        assert other.ask("SIZE /b").startswith("550 ")
        assert site.names() == ["a"]


def test_a_lost_control_connection_aborts_the_upload(site: FtpsSite) -> None:
    """The client is gone: the upload is not committed even though its data connection is still open."""
    site.put("/a", OLD)
    client = RawFtp(site).login()
    data = client.start_upload("STOR /a")
    data.sendall(PART)
    client.vanish()
    site.no_clients()

    assert site.get("/a") == OLD
    data.close()


def test_a_lost_control_connection_wins_over_a_finished_upload(site: FtpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control channel is heard once more before the commit: a client that is gone by then gets none."""
    site.put("/a", OLD)
    client = RawFtp(site).login()
    settle = DataChannel._settle

    def lose_control_first(channel: DataChannel) -> None:
        client.vanish()
        settle(channel)

    monkeypatch.setattr(DataChannel, "_settle", lose_control_first)
    data = client.start_upload("STOR /a")
    data.sendall(PART)
    data.unwrap()
    site.no_clients()

    assert site.get("/a") == OLD


def test_abor_wins_over_a_finished_upload(site: FtpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """ABOR that is there before the commit cancels it; any other command lets the commit go first."""
    site.put("/a", OLD)
    settle = DataChannel._settle
    with RawFtp(site).login() as client:

        def hear_first(word: str) -> None:
            def hear(channel: DataChannel) -> None:
                client.send(word)
                settle(channel)

            monkeypatch.setattr(DataChannel, "_settle", hear)

        hear_first("ABOR")
        data = client.start_upload("STOR /a")
        data.sendall(PART)
        data.unwrap()
        replies = [client.reply()[:3], client.reply()[:3]]
        assert (replies, site.get("/a")) == (["426", "226"], OLD)
        hear_first("SIZE /a")
        data = client.start_upload("STOR /a")
        data.sendall(PART)
        data.unwrap()
        replies = [client.reply()[:3], client.reply()]

        assert (replies, site.get("/a")) == (["226", f"213 {len(PART)}"], PART)


@pytest.mark.parametrize("prefix", [b"", b"\xff\xf4\xff\xf2"], ids=["plain", "telnet-synch"])
def test_abor_stops_a_transfer_and_the_session_goes_on(site: FtpsSite, prefix: bytes) -> None:
    """426 for the transfer and 226 for ABOR, also with the Telnet signals of RFC 959 before it."""
    site.put("/big", b"y" * 30_000_000)
    with RawFtp(site).login() as client:
        sock = client.connect()
        assert client.ask("RETR /big")[:4] in {"150 ", "125 "}
        data = client.data_tls(sock)
        data.recv(1000)
        client.send(prefix + b"ABOR")
        assert [client.reply()[:3], client.reply()[:3]] == ["426", "226"]

        assert client.ask("ABOR").startswith("225 ")
        assert client.download("RETR /big")[1].startswith("226 ")


def test_a_broken_upload_goes_on_where_it_stopped(site: FtpsSite) -> None:
    """After 426 the same session sees its bytes by SIZE and resumes by REST; another session sees nothing."""
    with RawFtp(site).login() as client, RawFtp(site).login("bob", "battery staple") as other:
        data = client.start_upload("STOR /a")
        data.sendall(PART)
        eventually(lambda: client.ask("SIZE /a") == f"213 {len(PART)}", what="the bytes to arrive")
        reset(data)
        assert client.reply().startswith("426 ")
        assert client.ask("SIZE /a") == f"213 {len(PART)}"
        assert other.ask("SIZE /a").startswith("550 ")
        assert client.ask(f"REST {len(PART)}").startswith("350 ")
        reply = client.upload("STOR /a", b"the rest")

        assert (reply[:3], site.get("/a")) == ("226", PART + b"the rest")


def test_what_was_kept_for_a_resume_ends_with_the_session(site: FtpsSite) -> None:
    """A client that never comes back leaves nothing."""
    with RawFtp(site).login() as client:
        data = client.start_upload("STOR /a")
        data.sendall(PART)
        eventually(lambda: client.ask("SIZE /a") == f"213 {len(PART)}", what="the bytes to arrive")
        reset(data)
        assert client.reply().startswith("426 ")
    site.no_clients()

    assert site.names() == []


def test_rest_goes_on_in_a_committed_file_and_drops_what_is_behind(site: FtpsSite) -> None:
    """REST n and STOR: the first n bytes, then what was sent, and no tail of the old content."""
    site.put("/a", b"0123456789")
    with RawFtp(site).login() as client:
        client.ask("REST 4")

        assert client.upload("STOR /a", b"ab").startswith("226 ")
        assert site.get("/a") == b"0123ab"


@pytest.mark.parametrize("command", ["STOR /a", "RETR /a", "STOR /new"])
def test_rest_beyond_the_end_is_refused(site: FtpsSite, command: str) -> None:
    """554, and the next command starts at 0 again."""
    site.put("/a", OLD)
    with RawFtp(site).login() as client:
        sock = client.connect()
        client.ask("REST 1000")

        assert client.ask(command)[:4] in {"554 ", "550 "}
        sock.close()
        assert site.get("/a") == OLD
        assert client.download("RETR /a")[0] == OLD


def test_an_append_goes_behind_the_file(site: FtpsSite) -> None:
    """APPE makes or extends; it is atomic as STOR is."""
    with RawFtp(site).login() as client:
        client.upload("APPE /a", b"one ")
        client.upload("APPE /a", b"two")

        assert site.get("/a") == b"one two"


@pytest.mark.parametrize("command", ["APPE /a", "STOU"])
def test_a_restart_dies_with_the_command_that_refused_it(site: FtpsSite, command: str) -> None:
    """503, and the upload after it starts at 0, not in the middle of the old file."""
    site.put("/a", b"0123456789")
    with RawFtp(site).login() as client:
        client.ask("REST 4")
        assert client.ask(command).startswith("503 ")

        assert client.upload("STOR /a", b"ab").startswith("226 ")
        assert site.get("/a") == b"ab"


def test_fewer_bytes_than_promised_are_not_taken_for_all(site: FtpsSite) -> None:
    """ALLO names the size: a shorter upload fails even with close_notify, and can be resumed."""
    site.put("/a", OLD)
    with RawFtp(site).login() as client:
        client.ask("ALLO 100")
        assert client.upload("STOR /a", b"z" * 60).startswith("451 ")
        assert site.get("/a") == OLD
        client.ask("ALLO 40")
        client.ask("REST 60")

        assert client.upload("STOR /a", b"z" * 40).startswith("226 ")
        assert site.get("/a") == b"z" * 100
        assert client.upload("STOR /b", b"no promise").startswith("226 ")


def test_an_empty_file_arrives(site: FtpsSite) -> None:
    """close_notify without a byte before it makes an empty file."""
    with RawFtp(site).login() as client:
        assert client.upload("STOR /empty", b"").startswith("226 ")
        assert client.download("RETR /empty") == (b"", "226 Transfer complete.")
        assert site.get("/empty") == b""


def test_a_unique_name_is_found_for_stou(site: FtpsSite) -> None:
    """STOU says which name it took, and takes one that nothing has."""
    with RawFtp(site).login() as client:
        sock = client.connect()
        name = client.ask("STOU report").partition("FILE: ")[2]
        data = client.data_tls(sock)
        data.sendall(PART)
        data.unwrap()

        assert client.reply().startswith("226 ")
        assert name.startswith("report.")
        assert site.get("/" + name) == PART


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path: Path) -> None:
    """452 in the middle of the upload, no part of it stays, and the session goes on."""
    with serving_ftps(tmp_path, filesystem=MemoryFilesystem(capacity=1_000_000)) as site:
        site.put("/a", OLD)
        with RawFtp(site).login() as client:
            data = client.start_upload("STOR /a")
            with pytest.raises((OSError, ssl.SSLError)):
                send_without_end(data)
            assert client.reply().startswith("452 ")

            assert site.get("/a") == OLD
            assert client.upload("STOR /b", b"small").startswith("226 ")


def test_a_failed_commit_is_not_reported_as_complete(site: FtpsSite) -> None:
    """The reply is the commit's: its folder was removed under the upload."""
    with RawFtp(site).login() as client, site.ftp("bob", "battery staple") as other:
        other.mkd("/folder")
        data = client.start_upload("STOR /folder/a")
        data.sendall(PART)
        eventually(lambda: client.ask("SIZE /folder/a") == f"213 {len(PART)}", what="the bytes to arrive")
        other.rmd("/folder")
        data.unwrap()

        assert client.reply()[:3] in {"550", "451"}
        assert site.names() == []


def test_ascii_type_changes_no_byte(site: FtpsSite) -> None:
    """A client that forgets TYPE I gets and gives the same bytes, and SIZE and REST hold."""
    data = b"a\nb\r\nc\rd\r"
    with RawFtp(site).login() as client:
        assert client.ask("TYPE A").startswith("200 ")
        client.upload("STOR /a", data)
        assert site.get("/a") == data
        assert client.ask("SIZE /a") == f"213 {len(data)}"
        assert client.ask("REST 3").startswith("350 ")

        assert client.download("RETR /a")[0] == data[3:]


def test_a_cut_short_download_says_no_goodbye(site: FtpsSite) -> None:
    """If the server gives up in mid-file, the client's TLS sees it: no close_notify, and no 226."""
    site.put("/big", b"y" * 30_000_000)
    with RawFtp(site).login() as client:
        sock = client.connect()
        client.ask("RETR /big")
        data = client.data_tls(sock)
        data.recv(1000)
        site.sign_in.sessions[0].workspace.end("test")

        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            read_to_the_end(data)
        assert client.reply().startswith("421 ")


def test_a_client_that_only_sends_loses_nothing(site: FtpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes without having read a byte: TLS 1.3 session tickets must not be there for it to leave unread.

    If they were, its kernel would reset the connection and drop what the server has not fetched yet.
    """
    go_on = threading.Event()
    write = Incoming.write

    def slow_write(self: Incoming, data: memoryview) -> None:
        go_on.wait(20)
        write(self, data)

    monkeypatch.setattr(Incoming, "write", slow_write)
    with RawFtp(site).login() as client:
        data = client.start_upload("STOR /a")
        assert data.version() == "TLSv1.3"
        data.sendall(PART)
        data.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            data.unwrap()  # sends close_notify and would wait for ours
        data.close()
        go_on.set()

        assert client.reply().startswith("226 ")
        assert site.get("/a") == PART


def test_small_uploads_do_not_wait_for_delayed_acknowledgements(site: FtpsSite) -> None:
    """The fastest of twenty takes less than the kernel's 40 ms, which each of them took once."""
    times = []
    with site.ftp() as client:
        for _ in range(20):
            start = time.monotonic()
            client.storbinary("STOR /a", io.BytesIO(b"x" * 4096))
            times.append(time.monotonic() - start)

    assert min(times) < 0.035


def test_ftplib_moves_files_both_ways(site: FtpsSite) -> None:
    """Python's own client, which waits for our close_notify before it reads 226."""
    with site.ftp() as client:
        client.storbinary("STOR /a", io.BytesIO(PART * 10))
        sink = io.BytesIO()
        client.retrbinary("RETR /a", sink.write)

        assert sink.getvalue() == PART * 10
