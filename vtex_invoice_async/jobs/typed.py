"""Commands of `vtex-invoice` as a shell takes them: each on one line, fit to be pasted."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

__all__ = ["pasted"]


def pasted(words: Sequence[object], files: Sequence[str] = ()) -> str:
    """Return a command of `vtex-invoice` as a shell takes it, on one line whatever the words hold.

    What came by standard input is gone: FILE stands for what has to be given anew.
    """
    # What begins with a hyphen would be taken for an option.
    named = [f"./{file}" if file.startswith("-") and file != "-" else file for file in files]
    anew = ["< FILE"] if "-" in files else []
    quoted = [_quoted(str(word)) for word in (*words, *named)]
    return " ".join(["vtex-invoice", *quoted, *anew])


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # What does not print would act on the terminal; $'...' is known to bash, zsh and ksh.
    bytes_ = os.fsencode(word)
    shown = "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in "\\'" else f"\\x{b:02x}" for b in bytes_
    )
    return f"$'{shown}'"
