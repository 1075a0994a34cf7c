"""Every storage error has its FTP reply."""

from __future__ import annotations

import pytest

from server.ftps.errors import REPLY_CODES, reply_for, trace_of
from storage.files import errors
from storage.files.errors import StorageError

YEAR_S = 365 * 24 * 3600


def every_storage_error() -> list[type[StorageError]]:
    """StorageError and all classes below it that are defined with it."""
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StorageError)]


@pytest.mark.parametrize("kind", every_storage_error(), ids=lambda kind: kind.__name__)
def test_every_storage_error_has_a_reply_of_its_own(kind: type[StorageError]) -> None:
    """A failure code, the public sentence, and never the detail."""
    reply = reply_for(kind("/srv/secret/place"))

    assert kind in REPLY_CODES
    assert 400 <= reply.code < 600
    assert str(reply) == f"{reply.code} {kind.public}"


def test_a_later_class_gets_the_reply_of_the_one_above_it() -> None:
    """A backend's own subclass is answered as what it is."""

    class Melted(errors.NoSpace):
        public = "The disk has melted."

    assert str(reply_for(Melted())) == "452 The disk has melted."


def test_what_may_pass_is_temporary_and_what_may_not_is_permanent() -> None:
    """Clients retry 4yz and give up at 5yz."""
    temporary = {kind for kind, code in REPLY_CODES.items() if code < 500}

    assert temporary == {
        errors.StorageError, errors.Locked, errors.NoSpace, errors.TooManyOpen, errors.UploadFailed,
        errors.SessionEnded, errors.StorageUnavailable,
    }  # fmt: skip


def test_a_trace_for_the_log_shows_no_local_variables() -> None:
    """One of them may be a password."""

    def sign_in(password: str) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError) as caught:
        sign_in("hunter" + "2")

    assert "sign_in" in trace_of(caught.value)
    assert "hunter2" not in trace_of(caught.value)
