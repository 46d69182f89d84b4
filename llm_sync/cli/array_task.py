"""Which part of the lines is this process's: a task of a Slurm array, or of an indexed Kubernetes Job."""

from __future__ import annotations

import os

from llm_sync.cli.options.argument_parser import UsageError

SLURM, KUBERNETES = "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"


def shard_of_task() -> tuple[int, int] | None:
    """The shard (I, N) of this task; None outside of an array, or if it has one task. Raises UsageError if N is not known."""
    if os.environ.get(SLURM):
        first, step = _number("SLURM_ARRAY_TASK_MIN", 0), _number("SLURM_ARRAY_TASK_STEP", 1)
        count = _number("SLURM_ARRAY_TASK_COUNT", None)
        return _shard(SLURM, (_number(SLURM, None) - first) // max(1, step), count)
    if os.environ.get(KUBERNETES):
        return _shard(KUBERNETES, _number(KUBERNETES, None), _number("JOB_COMPLETIONS", None))
    return None


def _shard(variable: str, index: int, count: int) -> tuple[int, int] | None:
    if not 0 <= index < count:
        raise UsageError(
            f"{variable} is {os.environ[variable]}, which is none of {count} tasks in a row: "
            "say which lines are its own (--shard I/N)"
        )
    return (index + 1, count) if count > 1 else None


def _number(variable: str, otherwise: int | None) -> int:
    text = os.environ.get(variable, "")
    if text.isascii() and text.isdecimal():
        return int(text)
    if otherwise is not None and not text:
        return otherwise
    given = f"is {text!r}" if text else "is not set"
    raise UsageError(f"this is a task of an array, but {variable} {given}: set it, or say which lines are its own (--shard I/N)")
