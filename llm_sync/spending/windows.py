"""The windows of budgets: from when to when an amount holds. All in UTC, in seconds since 1970."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple


class Window(NamedTuple):
    """``ends``: None for the one of a total."""

    starts: float
    ends: float | None


def window_at(per: str, now: float) -> Window:
    """The window of a period that ``now`` is in. Days begin at midnight, weeks on Monday, months on the first."""
    if per == "total":
        return Window(0.0, None)
    moment = datetime.fromtimestamp(now, timezone.utc).replace(microsecond=0)
    if per == "minute":
        start = moment.replace(second=0)
        return _window(start, start + timedelta(minutes=1))
    if per == "hour":
        start = moment.replace(second=0, minute=0)
        return _window(start, start + timedelta(hours=1))
    midnight = moment.replace(hour=0, minute=0, second=0)
    if per == "day":
        return _window(midnight, midnight + timedelta(days=1))
    if per == "week":
        start = midnight - timedelta(days=midnight.weekday())
        return _window(start, start + timedelta(days=7))
    start = midnight.replace(day=1)
    return _window(start, (start + timedelta(days=32)).replace(day=1))


def _window(start: datetime, end: datetime) -> Window:
    return Window(start.timestamp(), end.timestamp())
