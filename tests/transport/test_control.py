"""Who waits in a way of their own is told when a request is to stop, whenever that is."""

from __future__ import annotations

import pytest

from llm_sync.transport.control import CallControl


@pytest.mark.parametrize("how", ["stop_retrying", "abort"])
def test_the_one_who_waits_is_told(how: str) -> None:
    """Whichever way the request is told, and by then it counts as stopped."""
    control, told = CallControl(), []
    control.on_stop(lambda: told.append(control.stopped))
    assert told == []
    getattr(control, how)()
    assert told == [True]


def test_a_telling_that_came_before_is_not_lost() -> None:
    """It is made up for at once."""
    control, told = CallControl(), []
    control.stop_retrying()
    control.on_stop(lambda: told.append("told"))
    assert told == ["told"]


def test_who_waits_no_more_is_not_told() -> None:
    """The wait is over."""
    control, told = CallControl(), []
    control.on_stop(lambda: told.append("told"))
    control.on_stop(None)
    control.stop_retrying()
    assert told == []


def test_a_telling_in_between_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes between the beginning and the end of on_stop: one of the two tells."""
    for moment in ("before", "after"):
        control, told = CallControl(), []
        is_set = control._stop.is_set

        def looked(control=control, is_set=is_set, moment=moment) -> bool:
            if moment == "before":
                control.stop_retrying()
            found = is_set()
            if moment == "after":
                control.stop_retrying()
            return found

        monkeypatch.setattr(control._stop, "is_set", looked)
        control.on_stop(lambda told=told: told.append("told"))
        assert told
