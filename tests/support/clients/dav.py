"""WebDAV by a mounted tree and by cadaver."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.clients.api import Endpoint, quoted, run
from tests.support.clients.terminal import dialogue


@contextlib.contextmanager
def davfs_mount(endpoint: Endpoint) -> Iterator[Path]:
    """The user's tree mounted by davfs2 while the block runs; unmounting waits for its delayed uploads."""
    with tempfile.TemporaryDirectory(prefix="quaymaster-davfs2-") as name:
        home = Path(name)
        home.chmod(0o755)  # mount.davfs reads its files as the user davfs2
        certificate, point = home / "certificate.pem", home / "mount"
        shutil.copyfile(endpoint.certificate, certificate)
        point.mkdir()
        secrets = home / "secrets"
        secrets.touch(mode=0o600)
        secrets.write_text(f'{endpoint.dav_url}/ {endpoint.user} "{endpoint.password}"\n')
        config = home / "davfs2.conf"
        config.write_text(
            f"ask_auth 0\nuse_locks 1\ndelay_upload 0\ncache_size 4096\n"
            f"secrets {secrets}\ntrust_server_cert {certificate}\n"
        )
        run(["mount", "-t", "davfs", "-o", f"conf={config}", endpoint.dav_url + "/", point])
        try:
            yield point
        finally:
            run(["umount", point])


class Davfs:
    """A mounted WebDAV tree, used by plain file operations."""

    name = "davfs2"

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        with davfs_mount(endpoint) as root:
            folder = root / remote.lstrip("/")
            folder.mkdir(exist_ok=True)
            for file in files:
                shutil.copyfile(file, folder / file.name)

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        with davfs_mount(endpoint) as root:
            for name in names:
                shutil.copyfile(root / remote.lstrip("/") / name, folder / name)


class Cadaver:
    """Cadaver with a script on standard input."""

    name = "cadaver"

    def _script(self, endpoint: Endpoint, lines: Sequence[str]) -> None:
        netrc = endpoint.scratch / ".netrc"
        netrc.write_text(f"machine localhost login {endpoint.user} password {endpoint.password}\n")
        netrc.chmod(0o600)
        shown = dialogue(["cadaver", endpoint.dav_url + "/"], lines, home=endpoint.scratch)
        failed = [line for line in shown.splitlines() if "failed" in line.lower() or "could not" in line.lower()]
        assert not failed, failed

    def put(self, endpoint: Endpoint, files: Sequence[Path], remote: str) -> None:
        sends = [f"put {quoted(str(file))} {quoted(remote.lstrip('/') + '/' + file.name)}" for file in files]
        self._script(endpoint, [f"mkcol {remote.lstrip('/')}", *sends])

    def get(self, endpoint: Endpoint, names: Sequence[str], remote: str, folder: Path) -> None:
        fetches = [f"get {quoted(remote.lstrip('/') + '/' + name)} {quoted(str(folder / name))}" for name in names]
        self._script(endpoint, fetches)
