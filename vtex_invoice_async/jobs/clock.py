"""Whether the clock of another process can be compared with this one's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

__all__ = ["agree", "clock"]

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
TOLERANCE: Final = 2.0
"""Seconds by which the time of day may have been adjusted."""


def clock() -> str | None:
    """Return what tells this computer's clock, as it is set now; None where that is not known.

    That is the start of the system, by name and by the time of day.
    """
    try:
        boot = BOOT.read_text(encoding="ascii").strip()
        return f"{boot} {time.time() - time.clock_gettime(time.CLOCK_BOOTTIME):.3f}"
    except (OSError, AttributeError):
        return None


def agree(one: str | None, other: str | None) -> bool:
    """Whether times of day by one clock mean the same by the other."""
    if one is None or other is None:
        return False
    (boot, start), (other_boot, other_start) = one.split(), other.split()
    return boot == other_boot and abs(float(start) - float(other_start)) <= TOLERANCE
