"""Log output."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from server.runtime.logs import SECRET_FIELDS, mask_secrets

SPEAKING = """
import logging, sys, structlog
from config.settings import LogSettings
from server.runtime.logs import set_up
set_up(LogSettings(format=sys.argv[1], level=sys.argv[2]), worker="sftp-1")
log = structlog.get_logger()
log.info("file.told", path="/a")
logging.getLogger("library").warning("from %s", "outside")
try:
    secret = "hunter" + "2"
    raise ValueError("what went wrong")
except ValueError:
    log.exception("it.failed", token="abc")
"""


def spoken(log_format: str, level: str) -> list[str]:
    """What a process of its own writes, for the set-up is the whole process's; nothing on standard output."""
    done = subprocess.run(
        [sys.executable, "-c", SPEAKING, log_format, level], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.system
def test_json_is_one_object_a_line() -> None:
    """Every line, also a library's and one with a traceback, has its event, level, worker and time."""
    told, library, failed = (json.loads(line) for line in spoken("json", "info"))

    assert (told["event"], told["path"], told["level"]) == ("file.told", "/a", "info")
    assert (library["event"], library["logger"]) == ("from outside", "library")
    assert (failed["event"], failed["token"], failed["level"]) == ("it.failed", "***", "error")
    assert "ValueError: what went wrong" in failed["exception"]
    assert {line["worker"] for line in (told, library, failed)} == {"sftp-1"}
    assert all(line["timestamp"].endswith("Z") for line in (told, library, failed))


@pytest.mark.system
def test_pretty_is_for_people_and_shows_no_local_variable() -> None:
    """A line for each event, the traceback below it without values; no colours where no terminal is."""
    lines = spoken("pretty", "info")
    text = "\n".join(lines)

    assert "file.told" in lines[0]
    assert "path=/a" in lines[0]
    assert not lines[0].startswith("{")
    assert "ValueError: what went wrong" in text
    assert "hunter2" not in text
    assert "\x1b" not in text


@pytest.mark.system
@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_the_level_leaves_out_what_is_less_severe(log_format: str) -> None:
    """``log.level = error`` silences the information and the library's warning."""
    text = "\n".join(spoken(log_format, "error"))

    assert "it.failed" in text
    assert "file.told" not in text
    assert "outside" not in text


def test_fields_named_like_secrets_are_masked() -> None:
    """A secret that is passed to the log by mistake does not reach it."""
    event = dict.fromkeys(SECRET_FIELDS, "hunter2") | {"user": "ada"}
    masked = mask_secrets(None, "info", event)

    assert "hunter2" not in masked.values()
    assert masked["user"] == "ada"
