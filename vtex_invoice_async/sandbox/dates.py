"""Moments as VTEX writes them."""

from __future__ import annotations

from datetime import datetime

__all__ = ["dotnet"]


def dotnet(moment: datetime, *, last_digit: int = 0) -> str:
    """Return *moment* with its offset and, as .NET writes it, seven digits; Python knows six."""
    text = moment.isoformat(timespec="microseconds")
    return f"{text[:26]}{last_digit}{text[26:]}"
