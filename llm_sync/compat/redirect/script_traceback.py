"""What is printed of an exception that a script did not catch: its own part of the traceback, and the shim's message."""

from __future__ import annotations

import os
from types import TracebackType

import llm_sync
from llm_sync.compat.shim.error_mapping import ShimError
from llm_sync.errors import LLMConnectorError

_PACKAGE = os.path.join(os.path.dirname(llm_sync.__file__), "")


def shorten(error: BaseException) -> None:
    """Leave out what says nothing about the script: the error of llm-sync behind a shim's, which has the same message, and the
    frames of llm-sync that raised it. Changes the exceptions of the chain; others than the shims' stay whole."""
    left: BaseException | None = error
    seen: set[int] = set()
    while left is not None and id(left) not in seen:
        seen.add(id(left))
        if isinstance(left, ShimError):
            if isinstance(left.__cause__, LLMConnectorError):
                left.__cause__ = None
            _cut(left.__traceback__)
        left = left.__cause__ or (None if left.__suppress_context__ else left.__context__)


def _cut(traceback: TracebackType | None) -> None:
    """End a traceback at the last frame that is not llm-sync's."""
    last = None
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            last = traceback
        traceback = traceback.tb_next
    if last is not None:
        last.tb_next = None
