"""``quaymaster scim replay-check``: recorded requests of identity providers, played against a store of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from config.sso import SsoMethod, SsoProvider
from server.cli.context import ConfigOption, JsonOption, open_site
from server.cli.output import Failure, emit_json, note, printable, reporting, say
from server.cli.quiet import quiet
from server.cli.views import View
from server.http.scim.recordings.sequences import (
    Mismatch,
    PlayedAnswer,
    PlayedRequest,
    Sequence,
    SequenceInvalid,
    end_mismatches,
    from_file,
    load,
    names,
    run,
)
from storage.database.migrate import migrate
from storage.database.store import Store, open_store

NAME = "replay"
BASE = "https://replay.invalid/scim/v2"
DATABASE = "scratch.db"


def replay_check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Sequences, as scim log --export writes them; default: those shipped."
        ),
    ] = None,
    *,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="NAME", help="Play with the settings of this provider, not the defaults."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play recorded requests, and tell each answer that is not as recorded; exit code 1 if there is one.

    Each sequence gets a store of its own in a temporary folder. Nothing of this site is touched, and nothing is sent.
    """
    with reporting():
        settings = SsoProvider(method=SsoMethod.SAML)
        if provider is not None:
            with open_site(config) as site:
                settings = site.sso(provider)
        sequences = _sequences(files)
        views = []
        with tempfile.TemporaryDirectory(prefix="quaymaster-replay-") as folder, quiet():
            empty = Path(folder) / "empty.db"
            migrate(_url(empty))
            for sequence in sequences:
                views.append(view := _played(sequence, settings, empty))
                if not as_json:
                    _tell(view)
        ok = all(view["ok"] for view in views)
        if as_json:
            emit_json({"ok": ok, "sequences": views})
        elif not ok:
            note("An answer that is not as recorded may stop a client, or undo what it meant.")
        if not ok:
            raise typer.Exit(1)


def _sequences(files: list[Path] | None) -> list[Sequence]:
    try:
        return [from_file(file) for file in files] if files else [load(name) for name in names()]
    except SequenceInvalid as error:
        raise Failure(
            "A sequence cannot be played.", str(error), "correct the file; the shipped ones show the form"
        ) from None


def _played(sequence: Sequence, settings: SsoProvider, empty: Path) -> View:
    with _scratch(empty) as store:
        playback = run(sequence, _sender(store, settings))
        mismatches = [*playback.mismatches, *_of_end(sequence, playback.saved, store)]
    return {
        "name": sequence.name,
        "client": sequence.client,
        "steps": len(sequence.steps),
        "ok": not mismatches,
        "mismatches": [{"step": mismatch.step, "what": mismatch.what} for mismatch in mismatches],
    }


def _sender(store: Store, settings: SsoProvider) -> Callable[[PlayedRequest], PlayedAnswer]:
    # Loading it takes longer than most commands take, and the others of this noun do not need it.
    from server.http.scim.requests import SCIM_JSON, ScimRequest  # noqa: PLC0415
    from server.http.scim.service import ScimService  # noqa: PLC0415

    service = ScimService(store, NAME, settings, BASE)

    def send(request: PlayedRequest) -> PlayedAnswer:
        path, _, query = request.path.partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = b"" if request.body is None else json.dumps(request.body).encode()
        answer = service.answer(ScimRequest(request.method, path, query, headers, body))
        told = {} if answer.body is None else {"content-type": SCIM_JSON}
        return PlayedAnswer(answer.status, {**answer.headers, **told}, answer.body)

    return send


def _of_end(sequence: Sequence, saved: Mapping[str, str], store: Store) -> list[Mismatch]:
    """Compare what the store holds with what must hold after the last step."""
    people = {person.user_id: person for person in store.scim_people.everybody(NAME)}
    users = {str(person.document["userName"]): person.document for person in people.values()}
    groups = {
        group.display_name: [
            str(people[user_id].document["userName"])
            for user_id, _ in store.scim_groups.members(group.group_id)
            if user_id in people
        ]
        for group in store.scim_groups.all(NAME)
    }
    return end_mismatches(sequence.end, saved, users, groups)


@contextmanager
def _scratch(empty: Path) -> Iterator[Store]:
    """Give a store with nobody in it, for a block."""
    file = empty.with_name(DATABASE)
    shutil.copyfile(empty, file)
    store = open_store(_url(file), pool_size=1)
    try:
        yield store
    finally:
        store.close()
        for part in empty.parent.glob(f"{DATABASE}*"):
            part.unlink()


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def _tell(view: View) -> None:
    requests = "1 request" if view["steps"] == 1 else f"{view['steps']} requests"
    say(f"{'ok  ' if view['ok'] else 'FAIL'}  {view['name']}: {requests}, {printable(view['client'])}")
    mismatches = view["mismatches"]
    for mismatch in mismatches if isinstance(mismatches, list) else []:
        say(f"      {printable(mismatch['step'])}: {printable(mismatch['what'])}")
