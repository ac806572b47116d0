"""What a type checker tells the users of this package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.command_line import ROOT

# The first run on a machine checks aiohttp as well.
TIMEOUT = 120


def mypy(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_code_of_users_has_the_types_and_the_type_errors_that_it_should() -> None:
    ended = mypy(Path("tests/typing/api.py"))

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_name_that_is_not_there_is_a_type_error(tmp_path: Path) -> None:
    path = tmp_path / "users_code.py"
    path.write_text(
        "import vtex_invoice_async\n"
        "from vtex_invoice_async import InvoiceClient\n"
        "vtex_invoice_async.notify_invoice\n"
    )

    ended = mypy(path)

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert [line.split(":")[1] for line in ended.stdout.splitlines()[:-1]] == ["2", "3"]
