"""``quaymaster scim replay-check`` and ``scim log --export``: requests that can be played again."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from config.sso import SsoMethod, SsoProvider
from server.cli.scim.export import exported
from server.http.scim.recordings.sequences import names
from server.http.scim.redaction import kept_body, kept_json
from server.http.scim.requests import ScimRequest
from server.http.scim.service import ScimService
from storage.database.scim_log import ScimRequestRow
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.scim_rows import join, leave
from tests.unit.server.cli.conftest import KeptSso, Opened

BASE = "/scim/v2/entra"
OBJECT_ID = "0123456789abcdef0123456789abcdef"


class Client:
    """A client of ``entra``, whose requests are logged as the server logs them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._service = ScimService(store, "entra", SsoProvider(method=SsoMethod.SAML), f"https://h{BASE}")

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        target, _, query = path.partition("?")
        answer = self._service.answer(ScimRequest(method, target, query, {}, raw))
        self._store.scim_log.add([row(method, path, answer.status, kept_body(raw), kept_json(answer.body))])
        return answer.body


def row(method: str, path: str, status: int, request: str = "", response: str = "") -> ScimRequestRow:
    return ScimRequestRow(
        at=time.time(),
        provider="entra",
        token_id="t",
        peer="192.0.2.1",
        user_agent="",
        method=method,
        path=BASE + path,
        status=status,
        duration_ms=1.0,
        request=request,
        response=response,
    )


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}


def filtered(collection: str, text: str) -> str:
    return f"/{collection}?filter={quote(text)}"


def sequence_file(tmp_path: Path, status: int) -> Path:
    """A sequence of one request that is answered 200, and expects a status."""
    step = {"name": "look", "method": "GET", "path": "/Users", "expect": {"status": status}}
    end = {"users": {}, "groups": {}}
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"client": "ours", "source": ["here"], "steps": [step], "end": end}))
    return file


# replay-check -------------------------------------------------------------------------------------


def test_the_shipped_sequences_are_answered_as_recorded(fresh_cli: Cli) -> None:
    """All of them, without an installation and without making one."""
    said = fresh_cli.ok("scim", "replay-check")

    assert said["ok"] is True
    assert [one["name"] for one in said["sequences"]] == list(names())
    assert all(one["steps"] > 0 and one["mismatches"] == [] for one in said["sequences"])
    assert not fresh_cli.data.exists()


def test_the_settings_of_a_provider_can_be_played_with(cli: Cli, keep_sso: KeptSso) -> None:
    """And nothing comes into its store."""
    keep_sso("entra", "--default-group=everybody", "--home-layout=id", method="oidc")

    said = cli.ok("scim", "replay-check", "--provider=entra")

    assert said["ok"] is True
    assert (cli.ok("user", "list"), cli.ok("group", "list"), cli.ok("scim", "log")) == ([], [], [])


def test_a_mismatch_is_told_and_fails(cli: Cli, tmp_path: Path) -> None:
    """With its step, in words and as JSON."""
    file = sequence_file(tmp_path, 404)

    words = cli.run("scim", "replay-check", str(file))
    as_json = cli.run("scim", "replay-check", str(file), "--json")

    assert (words.code, as_json.code) == (1, 1)
    assert "FAIL  own: 1 request, ours" in words.out
    assert "look: status is 200, not 404" in words.out
    assert as_json.data["ok"] is False
    assert as_json.data["sequences"][0]["mismatches"] == [{"step": "look", "what": "status is 200, not 404"}]


def test_files_are_played_instead_of_the_shipped_ones(cli: Cli, tmp_path: Path) -> None:
    """Several, each in a store of its own."""
    file = sequence_file(tmp_path, 200)

    said = cli.run("scim", "replay-check", str(file), str(file))

    assert said.code == 0
    assert said.out.splitlines() == ["ok    own: 1 request, ours"] * 2


@pytest.mark.parametrize("text", [None, "no JSON", "{}"])
def test_a_file_that_is_no_sequence_is_told(cli: Cli, tmp_path: Path, text: str | None) -> None:
    """And nothing is played."""
    file = tmp_path / "broken.json"
    if text is not None:
        file.write_text(text)

    said = cli.run("scim", "replay-check", str(file))

    assert (said.code, said.out) == (1, "")
    assert "broken" in said.err


# export -------------------------------------------------------------------------------------------


def test_what_is_exported_can_be_played(cli: Cli, keep_sso: KeptSso, opened: Opened, tmp_path: Path) -> None:
    """People and groups are made anew with other ids, and every answer is as it was; the file is its owner's alone."""
    keep_sso()
    file = tmp_path / "entra.json"
    with opened() as store:
        client = Client(store)
        ann = client.send(
            "POST", "/Users", {"userName": "ann+1@x.example", "externalId": OBJECT_ID, "password": "hunter2"}
        )
        boss = client.send("POST", "/Users", {"userName": "boss@x.example"})
        crew = client.send("POST", "/Groups", {"displayName": "Crew", "externalId": "g-1"})
        ann_id, crew_id = ann["id"], crew["id"]
        client.send("POST", "/Users", {"userName": "Ann+1@x.example"})
        client.send("GET", filtered("Users", 'userName eq "ann+1@x.example"'))
        client.send("GET", filtered("Users", f'externalId eq "{OBJECT_ID}"'))
        client.send(
            "PATCH", f"/Groups/{crew_id}", patch({"op": "Add", "path": "members", "value": [{"value": ann_id}]})
        )
        client.send("PATCH", f"/Users/{ann_id}", patch({"op": "Add", "path": "manager", "value": boss["id"]}))
        client.send("GET", filtered("Groups", f'id eq "{crew_id}" and members eq "{ann_id}"'))
        client.send("PATCH", f"/Users/{ann_id}", patch({"op": "Replace", "path": "active", "value": "False"}))
        client.send("DELETE", f"/Users/{ann_id}")
        client.send("GET", f"/Users/{ann_id}")

    said = cli.run("scim", "log", "entra", f"--export={file}", "--json")
    played = cli.run("scim", "replay-check", str(file), "--json")

    assert said.data == {"file": str(file), "steps": 12, "left_out": 0}
    assert (played.code, played.data["sequences"][0]["mismatches"]) == (0, [])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "hunter2" not in file.read_text()
    assert ann_id not in file.read_text()
    assert OBJECT_ID in file.read_text()
    assert "personal" in cli.run("scim", "log", "--help", env={"COLUMNS": "300"}).out
    assert "holds names and addresses" in said.err


def test_what_cannot_be_played_elsewhere_is_left_out() -> None:
    """About what was here before, of the server's or the credential's trouble, or not kept whole; and counted."""
    known, unknown = "a" * 32, "b" * 32
    rows = [
        row("POST", "/Users", 201, '{"userName":"ann"}', json.dumps({"id": known})),
        row("GET", f"/Users/{unknown}", 200),
        row("GET", filtered("Groups", f'members eq "{unknown}"'), 200),
        row("PATCH", f"/Users/{known}", 200, json.dumps(patch({"op": "add", "path": "manager", "value": unknown}))),
        row("PATCH", f"/Users/{known}", 200, "(70000 bytes)"),
        row("PATCH", f"/Users/{known}", 503, "{}"),
        row("PATCH", f"/Users/{known}", 200, kept_json(patch({"op": "replace", "path": "password", "value": "x"}))),
        row("GET", f"/Users/{known}", 304),
        row("GET", "/Users", 401),
        row("HEAD", "/Users", 405),
        row("POST", "/Users", 400, '{"userName":"${x}"}'),
        row("GET", f"/Users/{known}", 200),
    ]

    export = exported("entra", rows)

    steps: Any = export.sequence["steps"]
    assert (export.steps, export.left_out) == (2, 10)
    assert steps[0]["save"] == {"r1": "id"}
    assert [(step["method"], step["path"], step["expect"]) for step in steps] == [
        ("POST", "/Users", {"status": 201}),
        ("GET", "/Users/${r1}", {"status": 200}),
    ]


def test_answers_about_what_was_here_before_are_left_out(
    cli: Cli, keep_sso: KeptSso, opened: Opened, tmp_path: Path
) -> None:
    """An empty store would answer otherwise: names of users and groups of the site, and who was ended by an admin."""
    keep_sso()
    cli.ok("user", "add", "cleo", "--method=none")
    file = tmp_path / "entra.json"
    with opened() as store:
        old = join(store, "old", "oid-old")
        client = Client(store)
        ann = client.send("POST", "/Users", {"userName": "Ann", "externalId": "oid-ann"})["id"]
        client.send("POST", "/Users", {"userName": "Cleo", "externalId": "oid-cleo"})  # left out: the site's own
        client.send("POST", "/Users", {"userName": "new", "externalId": "oid-old"})  # left out: came before
        client.send("PATCH", f"/Users/{ann}", patch({"op": "replace", "path": "userName", "value": "old"}))  # left out
        client.send("PATCH", f"/Users/{ann}", patch({"op": "replace", "value": {"userName": "anna"}}))
        client.send("POST", "/Users", {"userName": "ANN", "externalId": "oid-2"})  # stays: a name that a step gave up
        client.send("POST", "/Users", {"userName": "x", "externalId": "oid-ann"})  # stays: the id of a step's user
        client.send("GET", "/Users/4711")  # stays: there is no such id anywhere
        leave(store, ann)  # by an approval, which is no request
        client.send("GET", f"/Users/{ann}")  # left out
        client.send("POST", "/Users", {"userName": "anna", "externalId": "oid-ann"})  # left out: back after that
        crew = client.send("POST", "/Groups", {"displayName": "Crew", "externalId": "g-1"})["id"]
        client.send("POST", "/Groups", {"displayName": "CREW"})  # stays
        client.send("DELETE", f"/Groups/{crew}")
        client.send("PATCH", f"/Groups/{crew}", patch({"op": "replace", "path": "displayName", "value": "Deck"}))
        client.send("GET", f"/Users/{old.id}")  # left out
        answers = [row.status for row in store.scim_log.tail("entra", limit=100)]

    said = cli.run("scim", "log", "entra", f"--export={file}", "--json")
    played = cli.run("scim", "replay-check", str(file), "--json")

    assert answers == [201, 409, 409, 409, 200, 409, 409, 404, 404, 201, 201, 409, 204, 404, 200]
    assert said.data == {"file": str(file), "steps": 9, "left_out": 6}
    assert "6 requests were left out" in said.err
    assert (played.code, played.data["sequences"][0]["mismatches"]) == (0, [])


def test_nothing_is_overwritten(cli: Cli, keep_sso: KeptSso, opened: Opened, tmp_path: Path) -> None:
    """Neither by an export, nor is an empty one written; and it is of one provider."""
    keep_sso()
    taken = tmp_path / "taken"
    taken.write_text("mine")
    empty = cli.run("scim", "log", "entra", f"--export={tmp_path / 'new'}")
    with opened() as store:
        Client(store).send("GET", "/Users")

    refused = cli.run("scim", "log", "entra", f"--export={taken}")
    of_all = cli.run("scim", "log", f"--export={tmp_path / 'all'}")
    nowhere = cli.run("scim", "log", "entra", f"--export={tmp_path / 'no' / 'folder'}")

    assert [said.code for said in (empty, refused, of_all, nowhere)] == [1, 1, 1, 1]
    assert taken.read_text() == "mine"
    assert "name the provider" in of_all.err
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]
