"""The blocks of the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

README: Final = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def block_with(text: str) -> str:
    (found,) = [block for block in blocks("python") if text in block]
    return found


def names_of(block: str) -> dict[str, Any]:
    """Run a block; return what it defines."""
    # A framework may look up the names of its annotations in the module.
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, "README.md", "exec"), names)
    return names
