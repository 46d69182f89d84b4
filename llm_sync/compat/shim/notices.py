"""What a script that knows nothing of llm-sync has to be told: one line each on standard error."""

from __future__ import annotations

import sys

quiet = False  # for a command line that was told to say nothing but what fails
_notified: set[str] = set()
_MAX_REMEMBERED = 1000  # lines remembered


def notify(text: str) -> None:
    """One line on standard error; a standard error that is gone or broken changes nothing else."""
    if quiet:
        return
    try:
        sys.stderr.write(f"llm-sync: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # closed, full, or None under pythonw
        return


def notify_once(text: str) -> None:
    """As ``notify``, but the same line only once in a process."""
    if text not in _notified:
        if len(_notified) < _MAX_REMEMBERED:
            _notified.add(text)
        notify(text)
