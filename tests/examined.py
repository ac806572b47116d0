"""`vtex-invoice doctor` in this process: what it finds with given settings, by the name of each check."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime

import pytest

from vtex_invoice_async.cli.doctor import DoctorOptions, examine
from vtex_invoice_async.cli.doctor.finding import Finding, Status, worst

SOUND = {
    "VTEX_ACCOUNT": "acme",
    "VTEX_APP_KEY": "vtexappkey-acme-SECRET",
    "VTEX_APP_TOKEN": "TOKENSECRET",
}
AROUND = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")

ALL = (
    *("account", "credentials", "host", "proxy", "dns", "connection", "tls", "answer", "clock"),
    *("permission", "folder", "disk", "file-system", "journal", "journal-lock", "journal-rows"),
    *("versions", "extras"),
)
"""Every check, in its order: programs know them by these names."""


class Found(dict[str, Finding]):
    """The findings by their names."""

    @property
    def code(self) -> int:
        return worst(self.values())

    def ended(self, status: Status) -> list[str]:
        return [name for name, finding in self.items() if finding.status is status]

    @property
    def failed(self) -> list[str]:
        return self.ended(Status.FAILED)

    @property
    def skipped(self) -> list[str]:
        return self.ended(Status.SKIPPED)


async def examined(
    environ: Mapping[str, str],
    *,
    journal: str | os.PathLike[str] | None = None,
    clock: datetime | None = None,
    order: str | None = None,
    seconds: float = 20,
    env_file: str | os.PathLike[str] | None = None,
) -> Found:
    """Make all checks with nothing set but *environ*, by a *clock* that stands still if it is given."""
    options = DoctorOptions(
        account=None,
        orders_api=None,
        base_url=None,
        env_file=None if env_file is None else os.fspath(env_file),
        journal=None if journal is None else os.fspath(journal),
        order=order,
        timeout=seconds,
    )
    told: list[Finding] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("VTEX_") or name.upper() in AROUND:
                patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        if clock is None:
            await examine(options, told.append)
        else:
            await examine(options, told.append, clock=lambda: clock)
    found = Found((finding.name, finding) for finding in told)
    assert len(found) == len(told), "a check was made twice"
    for finding in found.values():
        assert finding.advice or finding.status in {Status.OK, Status.SKIPPED}
        assert (finding.status is Status.FAILED) == bool(finding.code)
    return found
