"""Batches: thousands of requests to any models, with the outcomes in input order; resumable after a kill at any moment.

``runner`` runs one batch. ``input`` reads the lines and makes requests of them. ``state`` has the journal, the records in it,
the index, and what previous runs left. ``planner`` makes the ``plan``; ``scheduler`` and ``sender`` send, ``job_desk`` what goes
by the providers' Batch APIs (the room ``jobs``); ``output`` writes the ordered output. ``dry_runner`` does all but the sending;
``merging`` merges finished outputs.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from llm_sync.batch.dry_runner import DryRun, dry_run
from llm_sync.batch.merging import Merged, merge
from llm_sync.batch.options import Options
from llm_sync.batch.runner import run
from llm_sync.batch.summary import LaneView, LineName, Snapshot, Summary

__all__ = ["DryRun", "LaneView", "LineName", "Merged", "Options", "Snapshot", "Summary", "dry_run", "merge", "run"]

_RENAMED: dict[str, Any] = {"Rehearsal": DryRun, "rehearse": dry_run}

if TYPE_CHECKING:  # a __getattr__ would make type checkers believe in any name, even a misspelt one
    Rehearsal = DryRun
    rehearse = dry_run
else:

    def __getattr__(name: str) -> Any:
        """The former names of ``DryRun`` and ``dry_run``, with a DeprecationWarning."""
        if name not in _RENAMED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        current = _RENAMED[name]
        warnings.warn(f"llm_sync.batch.{name} is now llm_sync.batch.{current.__name__}", DeprecationWarning, stacklevel=2)
        return current
