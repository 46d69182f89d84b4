"""Where the requests of a batch are made besides this process: worker processes, a Dask cluster, any executor.

The coordinator keeps plan, gates, retries, journal, budgets and cache; workers make single attempts. ``batch.run(on=…)`` and
``llm-sync batch --on …`` take what ``engine_for`` takes.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from llm_sync.errors import InvalidRequestError

if TYPE_CHECKING:
    from llm_sync.engines.engine import Link

__all__ = ["engine_for"]

MAX_PROCESSES = 1024


def engine_for(on: Any) -> Link:
    """The engine that ``on`` names: "processes:N", "dask", "dask:ADDRESS", an Executor, or a client of Dask.

    Starts nothing. Raises InvalidRequestError for anything else; ConfigurationError if a package is missing.
    """
    if isinstance(on, str):
        return _named(on)
    if type(on).__module__.partition(".")[0] == "distributed":  # its executor repeats the tasks of workers that it loses
        from llm_sync.engines.dask_cluster import DaskEngine

        return DaskEngine(client=getattr(on, "_client", on))
    if isinstance(on, Executor):
        from llm_sync.engines.executors import ExecutorEngine

        return ExecutorEngine(on)
    raise InvalidRequestError(f"on: {type(on).__name__} is no executor", guidance=_WAYS)


_WAYS = "Give processes:N, dask, dask:ADDRESS, or (in a program) a concurrent.futures.Executor."


def _named(on: str) -> Link:
    kind, _, value = on.partition(":")
    if kind == "processes" and value.isascii() and value.isdecimal() and 1 <= int(value) <= MAX_PROCESSES:
        from llm_sync.engines.processes import Processes

        return Processes(int(value))
    if kind == "dask" and (value or on == "dask"):
        from llm_sync.engines.dask_cluster import DaskEngine
        from llm_sync.engines.dask_connection import ADDRESS_VARIABLE

        return DaskEngine(value or os.environ.get(ADDRESS_VARIABLE) or None)
    raise InvalidRequestError(f"on: {on!r} names no engine", guidance=_WAYS)
