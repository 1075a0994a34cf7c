"""Programs that speak several of the protocols: curl, lftp, rclone; and Python's ftplib."""

from __future__ import annotations

import contextlib
import ftplib
import ssl
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.clients.api import Endpoint, quoted, run, ssh_options

# One transfer after the other, curl 7.88 idles a second before most passive connections, with vsftpd too.
PARALLEL = ("--parallel", "--parallel-max", "4", "--no-progress-meter")


class Curl:
    """Curl by FTPS or WebDAV: one process for all files, on as few connections as it likes."""

    def __init__(self, protocol: str) -> None:
        self.name = f"curl-{protocol}"
        self._protocol = protocol

    def _base(self, endpoint: Endpoint) -> tuple[list[str], str]:
        words = ["curl", "--silent", "--show-error", "--fail", "--cacert", str(endpoint.certificate)]
        words += ["--user", f"{endpoint.user}:{endpoint.password}"]
        match self._protocol:
            case "ftps":
                return [*words, "--ssl-reqd", "--ftp-create-dirs"], f"ftp://localhost:{endpoint.ftps_port}"
            case "ftps-implicit":
                return [*words, "--ftp-create-dirs"], f"ftps://localhost:{endpoint.implicit_port}"
            case _:
                return words, endpoint.dav_url

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        words, root = self._base(endpoint)
        if self._protocol == "webdav":
            run([*words, "-X", "MKCOL", root + remote + "/"])
        lines = []
        for file in files:
            lines += [f"upload-file = {quoted(str(file))}", f"url = {quoted(root + self._url(remote, file.name))}"]
        run([*words, *PARALLEL, "--globoff", "--config", "-"], text="\n".join(lines))

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        words, root = self._base(endpoint)
        lines = []
        for name in names:
            lines += [f"output = {quoted(str(folder / name))}", f"url = {quoted(root + self._url(remote, name))}"]
        run([*words, *PARALLEL, "--globoff", "--config", "-"], text="\n".join(lines))

    def _url(self, remote: str, name: str) -> str:
        return urllib.parse.quote(f"{remote}/{name}")

    def resume_put(self, endpoint: Endpoint, file: Path, remote: str) -> None:
        """Go on with an upload: by FTP curl asks SIZE itself; by HTTP it must be told, and sends Content-Range."""
        words, root = self._base(endpoint)
        url, offset = root + urllib.parse.quote(remote), "-"
        if self._protocol == "webdav":
            head = run([*words, "--head", url]).lower()
            offset = head.split("content-length:")[1].split()[0]
        run([*words, "--continue-at", offset, "--upload-file", file, url])

    def resume_get(self, endpoint: Endpoint, remote: str, file: Path) -> None:
        """Go on with a download from the local file's size."""
        words, root = self._base(endpoint)
        run([*words, "--continue-at", "-", "--output", file, root + urllib.parse.quote(remote)])


class Lftp:
    """Lftp by SFTP or FTPS: mirror up and down, three files at a time."""

    def __init__(self, protocol: str) -> None:
        self.name = f"lftp-{protocol}"
        self._protocol = protocol

    def _script(self, endpoint: Endpoint, lines: Sequence[str]) -> str:
        ssh = " ".join(["ssh", "-a", "-x", *ssh_options(endpoint)])
        scheme, port = ("sftp", endpoint.sftp_port) if self._protocol == "sftp" else ("ftp", endpoint.ftps_port)
        settings = [
            "set cmd:fail-exit true",
            "set net:max-retries 1",
            "set net:timeout 20",
            f'set sftp:connect-program "{ssh}"',
            f"set ssl:ca-file {endpoint.certificate}",
            "set ftp:ssl-force true",
            "set ftp:ssl-protect-data true",
            "set ftp:charset utf-8",
            "set sftp:charset utf-8",
            f"open -u {endpoint.user},{endpoint.password} {scheme}://localhost:{port}",
        ]
        return run(["lftp", "--norc"], text="\n".join([*settings, *lines]) + "\n", cwd=endpoint.scratch)

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        (folder,) = {file.parent for file in files}
        self._script(endpoint, [f"mirror -R --parallel=3 {folder} {remote}"])

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        self._script(endpoint, [f"mirror --parallel=3 {remote} {folder}"])

    def resume_put(self, endpoint: Endpoint, file: Path, remote: str) -> None:
        """Go on with an upload whose first part is there."""
        self._script(endpoint, [f"put -c {file} -o {remote}"])

    def resume_get(self, endpoint: Endpoint, remote: str, file: Path) -> None:
        """Go on with a download whose first part is there."""
        self._script(endpoint, [f"get -c {remote} -o {file}"])


class Rclone:
    """Rclone by sftp, ftp or webdav: copy, then its own check of sizes and times."""

    def __init__(self, protocol: str) -> None:
        self.name = f"rclone-{protocol}"
        self._protocol = protocol

    def _run(self, endpoint: Endpoint, *words: str) -> None:
        program = Path(sys.executable).with_name("rclone")
        hidden = run([str(program), "obscure", endpoint.password]).strip()
        common = {"TYPE": self._protocol, "USER": endpoint.user, "HOST": "localhost"}
        match self._protocol:
            case "sftp":
                settings = {"PORT": str(endpoint.sftp_port), "KEY_FILE": str(endpoint.private_key)}
            case "ftp":
                settings = {"PORT": str(endpoint.ftps_port), "PASS": hidden, "EXPLICIT_TLS": "true"}
            case _:
                settings = {"URL": endpoint.dav_url, "PASS": hidden, "VENDOR": "owncloud"}
        env = {f"RCLONE_CONFIG_Q_{key}": value for key, value in (common | settings).items()}
        env |= {"RCLONE_CA_CERT": str(endpoint.certificate), "RCLONE_CONFIG": str(endpoint.scratch / "rclone.conf")}
        env |= {"SSL_CERT_FILE": str(endpoint.certificate)}
        run([str(program), "--retries", "1", *words], env=env, cwd=endpoint.scratch)

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        (folder,) = {file.parent for file in files}
        self._run(endpoint, "copy", str(folder), f"Q:{remote}")
        self._run(endpoint, "check", "--size-only", str(folder), f"Q:{remote}")

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        self._run(endpoint, "copy", f"Q:{remote}", str(folder))


class FtpLib:
    """Python's ftplib with TLS on both channels."""

    name = "ftplib"

    @contextlib.contextmanager
    def session(self, endpoint: Endpoint) -> Iterator[ftplib.FTP_TLS]:
        """A signed-in client with protected data channels."""
        context = ssl.create_default_context(cafile=str(endpoint.certificate))
        with ftplib.FTP_TLS(context=context, timeout=30) as ftp:  # noqa: S321 - the program under test
            ftp.connect("localhost", endpoint.ftps_port)
            ftp.login(endpoint.user, endpoint.password)
            ftp.prot_p()
            yield ftp

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        with self.session(endpoint) as ftp:
            with contextlib.suppress(ftplib.error_perm):
                ftp.mkd(remote)
            for file in files:
                with file.open("rb") as source:
                    ftp.storbinary(f"STOR {remote}/{file.name}", source, blocksize=1 << 18)

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        with self.session(endpoint) as ftp:
            for name in names:
                with (folder / name).open("wb") as sink:
                    ftp.retrbinary(f"RETR {remote}/{name}", sink.write, blocksize=1 << 18)

    def resume_put(self, endpoint: Endpoint, file: Path, remote: str) -> None:
        """Go on by REST and STOR from the remote size."""
        with self.session(endpoint) as ftp, file.open("rb") as source:
            ftp.voidcmd("TYPE I")
            offset = ftp.size(remote) or 0
            source.seek(offset)
            ftp.storbinary(f"STOR {remote}", source, rest=offset)

    def resume_get(self, endpoint: Endpoint, remote: str, file: Path) -> None:
        """Go on by REST and RETR from the local size."""
        with self.session(endpoint) as ftp, file.open("ab") as sink:
            ftp.retrbinary(f"RETR {remote}", sink.write, rest=sink.tell())
