"""What every part of the settings tree is made of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of the tree: immutable, and unknown keys are refused. Pydantic's own errors quote no input."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _nameable(path: Path) -> Path:
    if b"\0" in os.fsencode(path):  # raises ValueError for letters that the file system's encoding lacks
        message = "it holds a NUL character"
        raise ValueError(message)
    return path


FilePath = Annotated[Path, AfterValidator(_nameable)]
