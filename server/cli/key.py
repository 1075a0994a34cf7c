"""``quaymaster key``: SSH public keys of users."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from auth_backends.ssh_keys import KeyRefused, ParsedKey, generate_key_pair, parse_public_key
from server.cli import values
from server.cli.context import ConfigOption, JsonOption, Site, open_site
from server.cli.output import Failure, emit_record, emit_rows, note, warn
from server.cli.views import View, ssh_key_view
from storage.database.changes import AddSshKey, RevokeSshKey
from storage.database.records import User

app = typer.Typer(no_args_is_help=True, help="SSH public keys of users.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Login name.")]
Title = Annotated[str | None, typer.Option("--title", help="What the key is for. Default: the key's comment.")]
Expires = Annotated[str | None, typer.Option("--expires", metavar="WHEN", help=values.EXPIRES_HELP)]
Networks = Annotated[list[str] | None, typer.Option("--networks", metavar="LIST", help=values.NETWORKS_HELP)]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Sessions of this key change nothing.")]

COLUMNS = (
    "id",
    "user",
    "algorithm",
    "fingerprint",
    "title",
    "networks",
    "read_only",
    "expires_at",
    "last_used_at",
    "revoked_at",
)


@app.command()
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE.pub", help="Public key in OpenSSH form; '-' for stdin.")],
    *,
    title: Title = None,
    expires: Expires = None,
    networks: Networks = None,
    read_only: ReadOnly = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a user in with an SSH key. Weak keys are refused with the reason."""
    with open_site(config) as site:
        user = site.user(name)
        parsed = _parse(file, site)
        change = AddSshKey(
            user_id=user.id,
            algorithm=parsed.algorithm,
            blob=parsed.blob,
            fingerprint=parsed.fingerprint,
            title=parsed.comment if title is None else title,
            expires_at=values.expiry(expires),
            networks=values.networks(networks),
            read_only=read_only,
        )
        _add(site, user, change, as_json=as_json)


@app.command()
def generate(
    name: Name,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Private key; the public one goes to FILE.pub.")],
    *,
    title: Title = None,
    expires: Expires = None,
    networks: Networks = None,
    read_only: ReadOnly = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an Ed25519 key pair for a user. The private key is written to FILE (0600) and kept nowhere else."""
    with open_site(config) as site:
        user = site.user(name)
        public_file = out.with_name(out.name + ".pub")
        for taken in (out, public_file):
            if taken.exists():
                raise Failure(f"{taken} exists already.", then="choose another --out; nothing is overwritten")
        pair = generate_key_pair(comment=user.name)
        parsed = pair.public
        change = AddSshKey(
            user_id=user.id,
            algorithm=parsed.algorithm,
            blob=parsed.blob,
            fingerprint=parsed.fingerprint,
            title=parsed.comment if title is None else title,
            expires_at=values.expiry(expires),
            networks=values.networks(networks),
            read_only=read_only,
        )
        _write_new(out, pair.private.reveal(), 0o600)
        _write_new(public_file, f"{parsed.line}\n", 0o644)
        _add(site, user, change, as_json=as_json, also={"private_key": str(out), "public_key": str(public_file)})
        note(f"Give {out} to {user.name} over a safe channel, then delete it here.")


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Login name; all users by default.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List SSH keys, also those that are revoked or expired."""
    with open_site(config) as site:
        users = [site.user(name)] if name else site.store.users.list()
        rows = [ssh_key_view(key, user.name) for user in users for key in site.store.credentials.ssh_keys_of(user.id)]
        emit_rows(rows, COLUMNS, as_json=as_json, empty="There are no SSH keys.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As shown by: quaymaster key list")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a key for good; sessions that came in with it are cut within a second."""
    with open_site(config) as site:
        site.apply(RevokeSshKey(key_id))
        key = site.store.credentials.ssh_key(key_id)
        user = site.store.users.by_id(key.user_id) if key else None
        if key is None or user is None:
            raise Failure(f"There is no key {key_id!r}.", then="list the keys with: quaymaster key list")
        emit_record(ssh_key_view(key, user.name), as_json=as_json)


def _add(site: Site, user: User, change: AddSshKey, *, as_json: bool, also: View | None = None) -> None:
    others = {
        owner.name
        for key in site.store.credentials.ssh_keys_with_blob(change.blob)
        if key.user_id != user.id and key.revoked_at is None and (owner := site.store.users.by_id(key.user_id))
    }
    site.apply(change)
    added = site.store.credentials.ssh_key_by_blob(user.id, change.blob)
    if added is None:
        raise Failure("The key was removed again by somebody else.")
    warnings = [f"this key already lets in {other}: whoever holds it can be either" for other in sorted(others)]
    emit_record({**ssh_key_view(added, user.name), **(also or {}), "warnings": warnings}, as_json=as_json)
    for text in warnings:
        warn(text)


def _parse(file: Path, site: Site) -> ParsedKey:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return parse_public_key("\n".join(lines), min_rsa_bits=site.settings.auth.min_rsa_bits)
    except OSError as error:
        raise Failure(f"Cannot read {file}.", str(error.strerror)) from None
    except UnicodeDecodeError:
        raise Failure(f"{file} is no public key.", "it is not text") from None
    except KeyRefused as refusal:
        raise Failure(f"The key in {file} was refused.", refusal.message) from None


def _write_new(file: Path, text: str, mode: int) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise Failure(f"Cannot write {file}.", str(error.strerror)) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
