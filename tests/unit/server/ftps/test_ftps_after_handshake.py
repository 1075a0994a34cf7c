"""What is left of the clear text once TLS is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from server.ftps.control import ControlBase


@pytest.mark.parametrize("implicit", [False, True])
def test_everything_said_in_clear_is_forgotten(*, implicit: bool) -> None:
    """A second lock behind the gates: half a line, waiting lines, a name and PROT do not cross the handshake."""
    control = SimpleNamespace(
        connection=SimpleNamespace(implicit=implicit),
        username="evil",
        _greeted=True,
        _implied_private=False,
        _in_buffer=[b"DELE /a"],
        _in_buffer_len=7,
        _lines=[b"DELE /b"],
        _pbsz=True,
        _prot=True,
    )
    ControlBase.handle_ssl_established(cast("ControlBase", control))

    assert (control._in_buffer, control._in_buffer_len, control._lines, control.username) == ([], 0, [], "")
    assert (control._pbsz, control._prot) == (implicit, implicit)
