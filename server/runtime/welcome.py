"""What the server tells the person who started it: who may sign in, where, and how."""

from __future__ import annotations

import io
import json
import os
import shlex
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import Settings
from server.runtime.preparation import LOCAL, SSO, DemoUser, Report

WIDTH = 110
READY = "Quaymaster is ready"
PLACEHOLDER = "PASSWORD"

FIRST_ADMIN = """There are no users yet. Create the first admin (it asks for a password):

    quaymaster user add admin --method local --admin

then users, and how they sign in:

    quaymaster user add NAME --method local
    quaymaster key add NAME FILE.pub
    quaymaster apikey issue NAME
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client on this machine finds the server and what it must trust, as a person would type it."""

    host: str
    sftp: int
    ftps: int
    implicit: int
    https: int
    certificate: str
    known_hosts: str
    key: str

    @classmethod
    def of(cls, settings: Settings, key: str) -> Place:
        """Fill in from the settings; paths are relative to the working directory where that is shorter."""
        certificate = settings.tls.certificate or settings.data / "keys" / "tls.pem"
        return cls(
            host=_reachable(settings.listen),
            sftp=settings.sftp.port,
            ftps=settings.ftps.port,
            implicit=settings.ftps.implicit_port,
            https=settings.http.port,
            certificate=_typed(certificate),
            known_hosts=_typed(settings.data / "keys" / "known_hosts"),
            key=_typed(Path(key)) if key else "PRIVATE_KEY_FILE",
        )


def users_text(report: Report, *, demo: bool) -> str:
    """Give the demo users' credentials if they were just made, or how to create the first admin."""
    if not demo and report.users == 0:
        return "\n" + FIRST_ADMIN
    fresh = [user for user in report.demo if user.password or user.api_key]
    if not fresh:
        return ""
    lines = ["Demo users (their secrets are shown this once, note them down):"]
    for user in fresh:
        lines += ["", f"  {user.name}: {user.role}", *(f"      {secret}" for secret in _secrets(user))]
    return _rendered(Text("\n".join(lines)))


def ready_text(settings: Settings, report: Report, *, demo: bool) -> str:
    """Give the addresses, the host keys' fingerprints, with ``demo`` the examples, and the line that says ready."""
    place = Place.of(settings, next((user.private_key for user in report.demo if user.private_key), ""))
    parts: list[Table | Text] = [_addresses(settings, place), _fingerprints(settings, report)]
    text = _rendered(*parts)
    if demo:
        password = next((user.password for user in report.demo if user.name == LOCAL and user.password), PLACEHOLDER)
        lines = "\n".join(f"  {label:<16}{line}" for label, line in examples(settings, place, password))
        text += f"\nConnect (clients ask for the password of {LOCAL} where it is not given):\n\n{lines}\n"
    return f"{text}\n{READY}\n"


def examples(settings: Settings, place: Place, password: str) -> list[tuple[str, str]]:
    """List a command per client, to be copied as it is; with PASSWORD where the password is not known any more."""
    trust = f"-o {_ssh_file('UserKnownHostsFile', place.known_hosts)}"
    # sshfs goes to the root folder before it starts ssh
    trust_anywhere = f"-o {_ssh_file('UserKnownHostsFile', str(Path(place.known_hosts).absolute()))}"
    name = shlex.quote(f"{LOCAL}@{place.host}")
    there = shlex.quote(f"{LOCAL}@{place.host}:/")
    key, authority = shlex.quote(place.key), shlex.quote(place.certificate)
    host = _rclone_value(place.host)
    obscured = f"$(rclone obscure {password})"
    rows: list[tuple[str, str]] = []
    if settings.sftp.enabled:
        options = f"key_file={_rclone_value(place.key)},known_hosts_file={_rclone_value(place.known_hosts)}"
        sso = shlex.quote(f"{SSO}@{place.host}")
        rows += [
            ("sftp", f"sftp -P {place.sftp} {trust} {name}"),
            ("sftp, SSH key", f"sftp -i {key} -o IdentitiesOnly=yes -P {place.sftp} {trust} {sso}"),
            ("scp", f"scp -P {place.sftp} {trust} FILE {there}"),
            ("sshfs", f"sshfs -p {place.sftp} {trust_anywhere} {there} FOLDER"),
            ("rclone, sftp", f'rclone lsf ":sftp,host={host},port={place.sftp},user={SSO},shell_type=none,{options}:"'),
            ("paramiko", _paramiko(place, password)),
        ]
    if settings.ftps.enabled:
        explicit = shlex.quote(f"ftp://{place.host}:{place.ftps}/")
        implicit = shlex.quote(f"ftps://{place.host}:{place.implicit}/")
        remote = f":ftp,host={host},port={place.ftps},user={LOCAL},pass={obscured},explicit_tls=true:"
        file = f'"{place.certificate}"' if " " in place.certificate else place.certificate
        tls = shlex.quote(f"set ssl:ca-file {file}; set ftp:ssl-force true; set ftp:ssl-protect-data true")
        # lftp gets no slash at the end: it would connect before it obeys -e, and trust nothing yet
        rows += [
            ("curl, FTPS", f"curl --cacert {authority} --ssl-reqd -u {LOCAL} -T FILE {explicit}"),
            ("curl, implicit", f"curl --cacert {authority} -u {LOCAL} {implicit}"),
            ("lftp", f"lftp -e {tls} -u {LOCAL} {shlex.quote(f'ftp://{place.host}:{place.ftps}')}"),
            ("rclone, FTPS", f'rclone lsf --ca-cert {authority} "{remote}"'),
            ("ftplib", _ftplib(place, password)),
        ]
    if settings.http.enabled:
        dav = f"https://{place.host}:{place.https}/dav/"
        remote = f":webdav,url='{dav}',user={LOCAL},pass={obscured}:"
        dav = shlex.quote(dav)
        rows += [
            ("curl, WebDAV", f"curl --cacert {authority} -u {LOCAL} -T FILE {dav}"),
            ("rclone, WebDAV", f'rclone lsf --ca-cert {authority} "{remote}"'),
            ("davfs2", f"sudo mount -t davfs {dav} FOLDER    # answer y to trust the certificate"),
            ("cadaver", f"cadaver {dav}    # answer y to trust the certificate"),
        ]
    return rows


def _paramiko(place: Place, password: str) -> str:
    host, user, secret, known = (json.dumps(text) for text in (_bare(place), LOCAL, password, place.known_hosts))
    return _python(
        "import paramiko",
        "client = paramiko.SSHClient()",
        f"client.load_host_keys({known})",
        f"client.connect({host}, {place.sftp}, {user}, {secret}, look_for_keys=False, allow_agent=False)",
        "print(client.open_sftp().listdir())",
    )


def _ftplib(place: Place, password: str) -> str:
    host, user, secret, file = (json.dumps(text) for text in (_bare(place), LOCAL, password, place.certificate))
    return _python(
        "import ftplib, ssl",
        f"client = ftplib.FTP_TLS(context=ssl.create_default_context(cafile={file}))",
        f"client.connect({host}, {place.ftps})",
        f"client.login({user}, {secret})",
        "client.prot_p()",
        "print(client.nlst())",
    )


def _bare(place: Place) -> str:
    return place.host.strip("[]")


def _python(*statements: str) -> str:
    """Give a program as one command. Its strings are in JSON's form, which is Python's too and has no single quote."""
    return f"python3 -c {shlex.quote('; '.join(statements))}"


def _ssh_file(option: str, path: str) -> str:
    """Give an option of ssh as one word of a shell. ssh takes more than one file, apart by spaces, unless quoted."""
    return shlex.quote(f'{option}="{path}"' if " " in path else f"{option}={path}")


def _rclone_value(text: str) -> str:
    """Give a value of rclone's connection strings, in which a colon ends the string and a comma the value."""
    return "'" + text.replace("'", "''") + "'" if set(text) & set(" ,:'") else text


def _secrets(user: DemoUser) -> list[str]:
    shown = (
        ("password", user.password),
        ("API key", user.api_key),
        ("SSH key", user.private_key and _typed(Path(user.private_key))),
    )
    return [f"{label}: {text}" for label, text in shown if text]


def _addresses(settings: Settings, place: Place) -> Table:
    table = Table(title="Addresses", title_justify="left", title_style="bold")
    table.add_column("protocol")
    table.add_column("address")
    if settings.sftp.enabled:
        table.add_row("SFTP, scp", f"sftp://{place.host}:{place.sftp}/")
    if settings.ftps.enabled:
        table.add_row("FTPS, explicit", f"ftp://{place.host}:{place.ftps}/ (TLS required)")
        table.add_row("FTPS, implicit", f"ftps://{place.host}:{place.implicit}/")
    if settings.http.enabled:
        table.add_row("WebDAV", f"https://{place.host}:{place.https}/dav/")
    return table


def _fingerprints(settings: Settings, report: Report) -> Text:
    lines = [f"  {line}" for line in report.fingerprints] if settings.sftp.enabled else []
    return Text("\n".join(["SSH host keys:", *lines] if lines else []))


def _reachable(listen: str) -> str:
    address = ip_address(listen)
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6


def _typed(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) and not relative.startswith("..") else str(path)


def _rendered(*parts: Table | Text) -> str:
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, no_color=True)
    for part in parts:
        console.print()
        console.print(part, soft_wrap=isinstance(part, Text))
    return out.getvalue()
