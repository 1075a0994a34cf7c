"""Recorded sequences are read strictly, played in order, and say in words what was not as recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.http.scim.recordings.matching import MISSING, at, differences, nulls
from server.http.scim.recordings.placeholders import filled, placeholders, wire_path
from server.http.scim.recordings.sequences import (
    EndState,
    Mismatch,
    PlayedAnswer,
    PlayedRequest,
    Sequence,
    SequenceInvalid,
    end_mismatches,
    from_file,
    load,
    play,
    run,
)

CHEN = "chen.wei@contoso.example"
CREATE = {
    "name": "create Chen",
    "method": "POST",
    "path": "/Users",
    "body": {"userName": CHEN, "active": True},
    "expect": {"status": 201, "body": {"id": "<string>", "userName": CHEN}, "absent": ["password"]},
    "save": {"chen": "id"},
}
READ = {
    "name": "read Chen",
    "method": "GET",
    "path": "/Users/${chen}",
    "expect": {"status": 200, "body": {"id": "${chen}", "active": True}},
}
END = {"users": {CHEN: {"active": True}}, "groups": {}}
SCIM_JSON = {"Content-Type": "application/scim+json; charset=utf-8"}


def file_of(*steps: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"client": "Nobody's", "source": ["no page"], "steps": list(steps), "end": END, **more}


def sequence_of(tmp_path: Path, *steps: dict[str, Any], **more: object) -> Sequence:
    path = tmp_path / "nobody.json"
    path.write_text(json.dumps(file_of(*steps, **more)), encoding="utf-8")
    return from_file(path)


class Service:
    """Keeps what was sent, and answers from a list."""

    def __init__(self, *answers: PlayedAnswer) -> None:
        self.requests: list[PlayedRequest] = []
        self._answers = list(answers)

    def __call__(self, request: PlayedRequest) -> PlayedAnswer:
        self.requests.append(request)
        return self._answers.pop(0)


def created(body: object = None, **more: object) -> PlayedAnswer:
    return PlayedAnswer(201, SCIM_JSON, body or {"id": "c-1", "userName": CHEN, "active": True, **more})


def texts(mismatches: list[Mismatch]) -> list[str]:
    return [str(mismatch) for mismatch in mismatches]


class TestLoading:
    def test_a_file_becomes_a_sequence_named_by_it(self, tmp_path: Path) -> None:
        """Everything that the file says is in the value; what it leaves out asks for nothing."""
        sequence = sequence_of(tmp_path, CREATE, READ | {"documented": False, "note": "seen"}, query="flag")

        create, read = sequence.steps
        assert (sequence.name, sequence.client, sequence.source) == ("nobody", "Nobody's", ("no page",))
        assert (sequence.query, sequence.answers.content_type, sequence.answers.no_nulls) == ("flag", None, False)
        assert (create.documented, create.save, create.expect.statuses) == (True, {"chen": "id"}, (201,))
        assert (read.documented, read.note, read.body) == (False, "seen", None)
        assert sequence.end == EndState({CHEN: {"active": True}}, {})

    @pytest.mark.parametrize(
        ("step", "reason"),
        [
            pytest.param({"method": "TRACE"}, "method is TRACE", id="method"),
            pytest.param({"path": "Users"}, "path must begin with /", id="path"),
            pytest.param({"method": "GET"}, "GET has no body", id="body of a GET"),
            pytest.param({"expects": {}}, "unknown expects", id="unknown key of a step"),
            pytest.param({"expect": {"status": 201, "absents": []}}, "unknown absents", id="unknown key of expect"),
            pytest.param({"expect": {"status": "201"}}, "expect.status", id="status as a text"),
            pytest.param({"expect": {"status": [200, True]}}, "expect.status", id="status as a boolean"),
            pytest.param({"expect": {"status": []}}, "expect.status", id="no status"),
            pytest.param({"expect": {"status": 201, "body": None}}, "expect.body must not be null", id="null body"),
            pytest.param({"expect": {"status": 201, "body": {"id": "<text>"}}}, "<text>", id="unknown matcher"),
            pytest.param({"expect": {"status": 201, "count": {"emails": "1"}}}, "expect.count.emails", id="count"),
            pytest.param({"path": "/Users/${amara}"}, "${amara} is saved by no earlier step", id="placeholder"),
            pytest.param({"body": {"manager": "${chen}"}}, "${chen} is saved by no earlier step", id="own placeholder"),
            pytest.param({"save": {"the id": "id"}}, "the id", id="name of a placeholder"),
            pytest.param({"documented": "no"}, "documented must be true or false", id="documented"),
        ],
    )
    def test_a_bad_step_is_named_with_the_reason(self, tmp_path: Path, step: dict[str, Any], reason: str) -> None:
        """A slip of the pen in a file is an error with its place, never an expectation that nobody checks."""
        with pytest.raises(SequenceInvalid) as caught:
            sequence_of(tmp_path, CREATE | step)

        assert (caught.value.sequence, caught.value.step) == ("nobody", "create Chen")
        assert reason in caught.value.reason
        assert str(caught.value) == f"nobody, step 'create Chen': {caught.value.reason}"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            pytest.param("{", "not JSON", id="no JSON"),
            pytest.param("[" * 100_000, "not JSON", id="too deep"),
            pytest.param("[]", "the file must be an object", id="no object"),
            pytest.param(json.dumps(file_of(CREATE, extra=1)), "unknown extra", id="unknown key"),
            pytest.param(json.dumps(file_of()), "at least one step", id="no steps"),
            pytest.param(json.dumps(file_of(CREATE, source=[])), "source must be a list", id="no source"),
            pytest.param(json.dumps(file_of(CREATE, end={"users": {}})), "end.groups", id="end without groups"),
            pytest.param(json.dumps(file_of(CREATE, end=END | {"users": {CHEN: {"id": "${x}"}}})), "${x}", id="end"),
            pytest.param('{"client": "a", "client": "b"}', "client is there twice", id="a key twice"),
        ],
    )
    def test_a_bad_file_is_refused_with_the_reason(self, tmp_path: Path, text: str, reason: str) -> None:
        """What is wrong outside the steps is said without a step."""
        path = tmp_path / "bad.json"
        path.write_text(text, encoding="utf-8")

        with pytest.raises(SequenceInvalid) as caught:
            from_file(path)

        assert caught.value.step is None
        assert reason in caught.value.reason

    def test_two_steps_never_share_a_name(self, tmp_path: Path) -> None:
        """A mismatch names its step, so the name must lead to one."""
        with pytest.raises(SequenceInvalid, match="an earlier step has the same name"):
            sequence_of(tmp_path, CREATE, CREATE)

    def test_what_cannot_be_read_is_refused(self, tmp_path: Path) -> None:
        """A missing file, a file in another encoding and an unknown name are SequenceInvalid like all else."""
        other = tmp_path / "latin.json"
        other.write_bytes("{Nürnberg}".encode("latin-1"))

        for refused in (tmp_path / "none.json", other):
            with pytest.raises(SequenceInvalid, match="cannot be read"):
                from_file(refused)
        with pytest.raises(SequenceInvalid, match="no such sequence; there are entra, "):
            load("../entra")


class TestPlaceholders:
    def test_values_take_their_places_in_every_string(self) -> None:
        """Whole strings and parts of them, at any depth; what is no string stays."""
        value = {"a": ["${x}", "Users/${x}/${y}"], "b": {"c": "${y}"}, "d": None, "e": 1}

        assert filled(value, {"x": "1", "y": "2"}) == {"a": ["1", "Users/1/2"], "b": {"c": "2"}, "d": None, "e": 1}
        assert placeholders(value) == {"x", "y"}

    @pytest.mark.parametrize(
        ("path", "wire"),
        [
            pytest.param('/Users?filter=userName eq "a"', "/Users?filter=userName%20eq%20%22a%22", id="as it is read"),
            pytest.param(
                "/Users?filter=userName%20eq%20%22a%40b%22", "/Users?filter=userName%20eq%20%22a%40b%22", id="sent"
            ),
            pytest.param("/Users?filter=emails[type]", "/Users?filter=emails%5Btype%5D", id="brackets"),
            pytest.param("/Users?filter=a#EXT#", "/Users?filter=a%23EXT%23", id="number sign"),
            pytest.param("/Users/${id}", "/Users/a%2F%3Fb%26%22", id="a saved value, encoded whole"),
        ],
    )
    def test_a_path_is_made_ready_for_the_wire(self, path: str, wire: str) -> None:
        """What may not stand in a request's target is encoded; what is encoded already is left alone."""
        assert wire_path(path, {"id": 'a/?b&"'}) == wire

    def test_the_tenants_query_goes_behind_every_path(self) -> None:
        """With a question mark or an ampersand, whichever is right."""
        assert wire_path("/Users", {}, "flag") == "/Users?flag"
        assert wire_path("/Users?count=2", {}, "flag") == "/Users?count=2&flag"


class TestMatching:
    @pytest.mark.parametrize(
        ("expected", "actual"),
        [
            pytest.param({"a": 1}, {"a": 1, "b": 2}, id="an object with more"),
            pytest.param([{"a": 1}], [{"b": 2}, {"a": 1, "c": 3}], id="an entry somewhere, with more"),
            pytest.param([], [], id="an empty list"),
            pytest.param({}, {"a": 1}, id="any object"),
            pytest.param("<any>", False, id="any value"),
            pytest.param("<string>", "x", id="a text"),
            pytest.param("<integer>", 0, id="a number"),
            pytest.param("<timestamp>", "2025-03-09T10:11:12.345Z", id="a time"),
        ],
    )
    def test_a_part_matches(self, expected: object, actual: object) -> None:
        """An answer may always have more than what was expected of it."""
        assert list(differences(expected, actual)) == []

    @pytest.mark.parametrize(
        ("expected", "actual", "said"),
        [
            pytest.param(
                {"a": {"b": True}}, {"a": {"b": "True"}}, 'body/a/b is "True", not true', id="text for boolean"
            ),
            pytest.param({"a": 1}, {"a": True}, "body/a is true, not 1", id="boolean for number"),
            pytest.param({"a": 1}, {"A": 1}, "body/a is missing, not 1", id="name in another case"),
            pytest.param({"a": 1}, [1], "body is [1], not an object", id="list for object"),
            pytest.param([], [1], "body is [1], not empty", id="not empty"),
            pytest.param([1], {}, "body is {}, not a list", id="object for list"),
            pytest.param([{"a": 1}], [{"a": 2}], 'body has no entry like {"a": 1} in [{"a": 2}]', id="no such entry"),
            pytest.param("<integer>", "100", 'body is "100", not <integer>', id="number as a text"),
            pytest.param("<integer>", True, "body is true, not <integer>", id="number as a boolean"),
            pytest.param("<string>", "", 'body is "", not <string>', id="empty text"),
            pytest.param("<any>", None, "body is null, not <any>", id="null"),
            pytest.param("<timestamp>", "2025-03-09", 'body is "2025-03-09", not <timestamp>', id="a day"),
            pytest.param("x" * 300, 1, f'body is 1, not "{"x" * 159}...', id="a long text is cut"),
        ],
    )
    def test_a_difference_is_said_with_its_place(self, expected: object, actual: object, said: str) -> None:
        """Types count: SCIM clients refuse numbers and booleans that are texts."""
        assert list(differences(expected, actual)) == [said]

    def test_a_path_leads_through_objects_and_lists(self) -> None:
        """Names are found in any case; what is not there is MISSING, which is not null."""
        document = {"Resources": [{"urn:a:2.0:User": {"tag": None}}]}

        assert at(document, "resources/0/urn:a:2.0:user/TAG") is None
        assert at(document, "Resources/1/id") is MISSING
        assert at(document, "Resources/x") is MISSING
        assert at(None, "id") is MISSING

    def test_nulls_are_found_anywhere(self) -> None:
        """Each with its path."""
        assert list(nulls({"a": [1, {"b": None}], "c": None})) == ["body/a/1/b is null", "body/c is null"]


class TestPlaying:
    def test_requests_are_sent_in_order_with_what_was_saved(self, tmp_path: Path) -> None:
        """A step's headers win over the file's, and an answer's id goes into the next path."""
        read = READ | {"headers": {"Accept": "application/json"}}
        sequence = sequence_of(tmp_path, CREATE, read, headers={"Accept": "application/scim+json"}, query="flag")
        service = Service(created(), PlayedAnswer(200, SCIM_JSON, {"id": "c-1", "active": True}))

        mismatches = play(sequence, service)

        assert mismatches == []
        assert service.requests == [
            PlayedRequest("POST", "/Users?flag", {"Accept": "application/scim+json"}, CREATE["body"]),
            PlayedRequest("GET", "/Users/c-1?flag", {"Accept": "application/json"}, None),
        ]

    def test_another_status_is_said_with_the_servers_reason(self, tmp_path: Path) -> None:
        """The rest of that answer is not looked at, and what needs it is not sent."""
        sequence = sequence_of(tmp_path, CREATE, READ)
        error = PlayedAnswer(400, SCIM_JSON, {"status": "400", "scimType": "invalidValue", "detail": "userName"})
        service = Service(error)

        said = texts(play(sequence, service))

        assert said == [
            "create Chen: status is 400 (invalidValue: userName), not 201",
            "create Chen: nothing at id to keep as ${chen}",
            "read Chen: not sent: no earlier answer gave ${chen}",
        ]
        assert len(service.requests) == 1

    def test_each_difference_in_an_answer_is_one_mismatch(self, tmp_path: Path) -> None:
        """Body, what must be absent, counts, headers, content type and nulls."""
        expect = {
            "status": [200, 201],
            "body": {"active": False},
            "absent": ["password"],
            "count": {"emails": 1, "roles": 0},
            "headers": {"Location": "<string>"},
        }
        rules = {"content_type": "application/scim+json", "no_nulls": True}
        sequence = sequence_of(tmp_path, CREATE | {"expect": expect}, answers=rules)
        body = {"id": "c-1", "active": True, "PassWord": "x", "emails": [], "title": None}

        said = texts(play(sequence, Service(PlayedAnswer(201, {"content-type": "text/json;charset=UTF-8"}, body))))

        assert said == [
            "create Chen: header Location is missing, not <string>",
            "create Chen: content type is text/json, not application/scim+json",
            "create Chen: body/title is null",
            "create Chen: body/active is true, not false",
            'create Chen: password is there, and must not be: "x"',
            "create Chen: emails has 0 entries, not 1: []",
        ]

    def test_an_answer_without_a_body_is_a_difference(self, tmp_path: Path) -> None:
        """Where a body was expected; and a 204 must not have one."""
        delete = {"name": "delete", "method": "DELETE", "path": "/Users/1", "expect": {"status": 204}}
        sequence = sequence_of(tmp_path, CREATE | {"save": {}}, delete)
        service = Service(PlayedAnswer(201, {}, None), PlayedAnswer(204, {}, {"id": "1"}))

        said = texts(play(sequence, service))

        assert said == [
            "create Chen: body is missing, not an object",
            'delete: 204 came with a body: {"id": "1"}',
        ]

    def test_where_two_statuses_are_right_a_204_needs_no_body(self, tmp_path: Path) -> None:
        """Okta takes the user or nothing as the answer to a PATCH; a later step looks at the user."""
        expect = {"status": [200, 204], "body": {"active": False}}
        patch = {"name": "patch", "method": "PATCH", "path": "/Users/1", "body": {}, "expect": expect}
        sequence = sequence_of(tmp_path, patch)

        assert play(sequence, Service(PlayedAnswer(204, {}, None))) == []

    def test_what_send_raises_goes_through(self, tmp_path: Path) -> None:
        """A broken connection is not a mismatch of the service."""

        def send(request: PlayedRequest) -> PlayedAnswer:
            raise ConnectionError(request.path)

        with pytest.raises(ConnectionError, match="/Users"):
            play(sequence_of(tmp_path, CREATE), send)


class TestEnd:
    END = EndState(
        users={CHEN: {"manager": {"value": "${amara}"}}, "gone@contoso.example": None},
        groups={"Radiology": (CHEN,), "Gone": None},
    )

    def test_the_same_state_has_no_mismatch(self) -> None:
        """Documents may have more, and there may be other users and groups."""
        users = {CHEN: {"manager": {"value": "a-1"}, "title": "x"}, "other@contoso.example": {}}

        assert end_mismatches(self.END, {"amara": "a-1"}, users, {"Radiology": [CHEN], "Other": []}) == []

    def test_every_difference_is_said(self) -> None:
        """Users and groups that are missing, different, or there although they must be gone."""
        users = {CHEN: {"manager": {"value": "b-2"}}, "gone@contoso.example": {}}

        said = texts(end_mismatches(self.END, {"amara": "a-1"}, users, {"Radiology": [], "Gone": []}))

        assert said == [
            f'end: user {CHEN}/manager/value is "b-2", not "a-1"',
            "end: user gone@contoso.example is there, and must be gone",
            f'end: group Radiology has [], not ["{CHEN}"]',
            "end: group Gone is there, and must be gone",
        ]
        assert texts(end_mismatches(self.END, {"amara": "a-1"}, {}, {})) == [
            f"end: user {CHEN} is missing",
            "end: group Radiology is missing",
        ]

    def test_without_the_saved_values_nothing_can_be_told(self) -> None:
        """Not even that it is right."""
        assert texts(end_mismatches(self.END, {}, {}, {})) == ["end: cannot tell: no answer gave ${amara}"]

    def test_a_playback_gives_what_was_saved(self, tmp_path: Path) -> None:
        """So that the end state can be compared."""
        playback = run(sequence_of(tmp_path, CREATE), Service(created()))

        assert (playback.mismatches, playback.saved) == ((), {"chen": "c-1"})
