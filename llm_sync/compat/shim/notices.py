"""Notices on standard error for scripts that were not written for llm-sync, one line each."""

from __future__ import annotations

import sys

quiet = False  # set by the command line's --quiet
_notified: set[str] = set()
_MAX_REMEMBERED = 1000  # lines remembered


def notify(text: str) -> None:
    """Write one line to standard error; a closed or broken standard error is ignored.

    Control characters are escaped: the text may quote a provider, which must not control a terminal or forge a line.
    """
    if quiet:
        return
    text = text if text.isprintable() else repr(text)[1:-1]
    try:
        sys.stderr.write(f"llm-sync: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # closed, full, or None under pythonw
        return


def notify_once(text: str, kind: str = "") -> None:
    """As ``notify``, but each ``kind`` (without one: each text) only once per process."""
    key = kind or text
    if key not in _notified:
        if len(_notified) < _MAX_REMEMBERED:
            _notified.add(key)
        notify(text)
