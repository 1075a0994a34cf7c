"""The configuration reference cannot differ from the model."""

from __future__ import annotations

from pathlib import Path

from config.reference import render

ROOT = Path(__file__).parents[2]


def test_the_document_equals_the_model() -> None:
    """docs/configuration.md is what ``quaymaster config reference`` prints."""
    expected = render()

    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == expected
