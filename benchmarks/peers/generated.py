"""Clients that generators make of `invoice.openapi.yaml`, once for each version of it and of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

__all__ = ["DOCUMENT", "by_openapi_generator", "cached", "run"]

DOCUMENT: Final = Path(__file__).with_name("invoice.openapi.yaml")
CACHE: Final = Path(__file__).resolve().parents[2] / ".benchmarks-cache"


def cached(name: str, generator: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a client that *make* fills where there is none yet."""
    of = sha256(DOCUMENT.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"{name}-{metadata.version(generator)}-{of}"
    if not folder.is_dir():
        CACHE.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as new:
            made = Path(new, name)
            make(made)
            made.rename(folder)
    return folder


def by_openapi_generator(language: str, folder: Path, *properties: str) -> None:
    run(
        *(sys.executable, "-c", "import openapi_generator_cli; openapi_generator_cli.cli()"),
        *("generate", "--input-spec", DOCUMENT, "--generator-name", language, "--output", folder),
        *("--additional-properties", ",".join(properties)),
    )


def run(*command: str | Path, folder: Path | None = None) -> None:
    """Run what makes a client; what it says is told only where it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}")
