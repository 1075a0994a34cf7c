"""Bulk transfers, ours beside the peer of each protocol, interleaved: ratios, CPU seconds and memory.

    .venv/bin/python -m bench.bulk [--size-mib 1024] [--rounds 3] [--protocol sftp] [--json]

Both servers run at the same time on loopback and serve files of the same disk. Each round moves the same file
up and down through each server by the same client program (OpenSSH sftp, curl), ours and the peer in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.ours import Ours, quaymaster
from bench.peers import apache, openssh, vsftpd
from bench.process_tree import PeakMemory, cpu_seconds

MIB = 1 << 20
CIPHER = "aes128-gcm@openssh.com"
PROTOCOLS = ("sftp", "ftps", "webdav")
PEERS = {"sftp": "OpenSSH", "ftps": "vsftpd", "webdav": "Apache mod_dav"}


@dataclass(frozen=True, slots=True)
class Result:
    """One transfer: seconds on the wall, CPU seconds of the server, its peak memory in bytes."""

    seconds: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Target:
    """One server as a client sees it: commands that move the file up and down."""

    name: str
    pid: int
    upload: Callable[[Path], list[str]]
    download: Callable[[Path], list[str]]
    batch: Callable[[str, Path], str | None]


def curl(*words: str) -> list[str]:
    """Curl that trusts any certificate, is quiet, and fails on a refusal."""
    return ["curl", "--silent", "--show-error", "--fail", "--insecure", *words]


def _sftp(name: str, pid: int, port: int, login: str, key: Path) -> Target:
    command = [
        *("sftp", "-q", "-b", "-", "-i", str(key), "-P", str(port), "-c", CIPHER),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes"),
        f"{login}@127.0.0.1",
    ]
    return Target(
        name,
        pid,
        lambda _: command,
        lambda _: command,
        lambda verb, file: f"put {file} bulk\n" if verb == "up" else f"get bulk {file}\n",
    )


def _by_url(name: str, pid: int, url: str, *extra: str) -> Target:
    return Target(
        name,
        pid,
        lambda file: curl(*extra, "-T", str(file), url),
        lambda file: curl(*extra, "-o", str(file), url),
        lambda _verb, _file: None,
    )


@contextlib.contextmanager
def targets(protocol: str, folder: Path, ours: Ours) -> Iterator[tuple[Target, Target]]:
    """Ours and the peer of one protocol, both running."""
    login = f"{ours.user}:{ours.password}"
    match protocol:
        case "sftp":
            with openssh(folder / "peer", ours.host_key, ours.public_key) as peer:
                name = os.environ.get("USER") or "root"
                yield (
                    _sftp("Quaymaster", ours.pid, ours.sftp_port, ours.user, ours.private_key),
                    _sftp(peer.name, peer.pid, peer.port, name, ours.private_key),
                )
        case "ftps":
            with vsftpd(folder / "peer", ours.certificate, ours.tls_key) as peer:
                yield (
                    _by_url(
                        "Quaymaster", ours.pid, f"ftp://127.0.0.1:{ours.ftps_port}/bulk", "--ssl-reqd", "-u", login
                    ),
                    _by_url(peer.name, peer.pid, f"ftp://127.0.0.1:{peer.port}/up/bulk", "--ssl-reqd"),
                )
        case _:
            with apache(folder / "peer", ours.certificate, ours.tls_key) as peer:
                yield (
                    _by_url("Quaymaster", ours.pid, f"https://127.0.0.1:{ours.http_port}/dav/bulk", "-u", login),
                    _by_url(peer.name, peer.pid, f"https://127.0.0.1:{peer.port}/bulk"),
                )


def measure(target: Target, verb: str, file: Path) -> Result:
    """Move the file once and say what it took; a client that fails ends the bench."""
    command = target.upload(file) if verb == "up" else target.download(file)
    text = target.batch(verb, file)
    before = cpu_seconds(target.pid)
    with PeakMemory(target.pid) as memory:
        start = time.perf_counter()
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{target.name}, {verb}: the client ended with {done.returncode}: {done.stderr.strip()}")
    return Result(seconds, cpu_seconds(target.pid) - before, memory.peak)


def run(protocol: str, folder: Path, ours: Ours, size_mib: int, rounds: int) -> list[dict[str, object]]:
    """All rounds of one protocol; one row per direction."""
    source, sink = folder / "source", folder / "sink"
    with source.open("wb") as file:
        for _ in range(size_mib):
            file.write(os.urandom(MIB))
    results: dict[tuple[str, str], list[Result]] = {}
    with targets(protocol, folder, ours) as pair:
        for number in range(rounds):
            for verb in ("up", "down"):
                for target in pair if number % 2 == 0 else reversed(pair):
                    moved = source if verb == "up" else sink
                    results.setdefault((verb, target.name), []).append(measure(target, verb, moved))
    peer = PEERS[protocol]
    rows = []
    for verb in ("up", "down"):
        row = {"protocol": protocol, "direction": verb, "peer": peer, "size_mib": size_mib, "rounds": rounds}
        rows.append(row | _compared(size_mib, results[verb, "Quaymaster"], results[verb, peer]))
    return rows


def _compared(size_mib: int, ours: list[Result], theirs: list[Result]) -> dict[str, object]:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    ratios = [their.seconds / our.seconds for our, their in zip(ours, theirs, strict=True)]
    return {
        "ratio": round(median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "our_mb_s": round(size_mib * MIB / 1e6 / median([r.seconds for r in ours])),
        "peer_mb_s": round(size_mib * MIB / 1e6 / median([r.seconds for r in theirs])),
        "our_cpu_s": round(median([r.cpu for r in ours]), 2),
        "peer_cpu_s": round(median([r.cpu for r in theirs]), 2),
        "our_peak_mib": round(max(r.peak for r in ours) / MIB),
        "peer_peak_mib": round(max(r.peak for r in theirs) / MIB),
    }


def main() -> None:
    """Run the bench and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--protocol", choices=PROTOCOLS, action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="quaymaster-bench-") as name, quaymaster(Path(name)) as ours:
        Path(name).chmod(0o755)
        for protocol in options.protocol or PROTOCOLS:
            print(f"{protocol}: {options.rounds} rounds of {options.size_mib} MiB ...", file=sys.stderr)
            folder = Path(name) / protocol
            folder.mkdir()
            rows += run(protocol, folder, ours, options.size_mib, options.rounds)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print("| protocol | | ours / peer | min-max | MB/s ours, peer | server CPU s | peak MiB (whole server) |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            "| {protocol} | {direction} | **{ratio}** vs {peer} | {ratio_min}-{ratio_max} | {our_mb_s}, {peer_mb_s} "
            "| {our_cpu_s}, {peer_cpu_s} | {our_peak_mib}, {peer_peak_mib} |".format(**row)
        )


if __name__ == "__main__":
    main()
