"""What a batch does when a budget is spent: it waits for a window that opens soon; otherwise the provider is paused.

A minute or an hour is waited for, as a pause that a provider asks for is. A day, a month and a maximum are not: the run sends
nothing more to the provider, and the same command resumes it later.
"""

from __future__ import annotations

import random
import threading
from datetime import datetime, timezone

from llm_sync.errors import BudgetExceededError, ClientClosedError
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import Pause, Steps

MAX_PAUSE_S = 3600.0


def opens_soon(error: BudgetExceededError, control: CallControl) -> Steps[bool]:
    """In steps: wait for the budget's next window, if it opens within an hour; False if it does not.

    Raises ClientClosedError when the batch is stopped meanwhile.
    """
    if error.opens_at is None:
        return False
    seconds = (error.opens_at - datetime.now(timezone.utc)).total_seconds()
    if seconds > MAX_PAUSE_S:
        return False
    yield Pause(min(max(seconds, 0.0) + random.random(), threading.TIMEOUT_MAX), control)  # noqa: S311  (no secret)
    if control.stopped:
        raise ClientClosedError("the batch is stopped while its budget is spent", attempts=0)
    return True
