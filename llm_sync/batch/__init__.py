"""Batches: thousands of requests to any models, their outcomes in input order, killed and resumed at any moment.

``run`` does it all. ``source`` and ``forms`` read any input; ``questions`` make requests of its lines; ``slots`` is the
index of eight bytes a request; ``journal`` and ``outcomes`` are what is written, ``earlier`` and ``plan`` what is made of it
the next time; ``lanes`` and ``sending`` ask; ``finishing`` puts it in order. ``rehearsal`` does all but the asking,
``merging`` puts finished outputs together.
"""

from llm_sync.batch.dry_run import Rehearsal, rehearse
from llm_sync.batch.merging import Merged, merge
from llm_sync.batch.runner import run
from llm_sync.batch.summary import LaneView, Snapshot, Summary

__all__ = ["LaneView", "Merged", "Rehearsal", "Snapshot", "Summary", "merge", "rehearse", "run"]
