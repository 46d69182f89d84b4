"""The problems of configurations, as ``configs --json`` and ``validate --json`` print them."""

from __future__ import annotations

from typing import Any

from llm_sync.errors import Problem


def problem_record(problem: Problem) -> dict[str, Any]:
    """A problem, JSON-ready. ``line`` and ``file`` are None if it concerns no place in a file."""
    return {
        "file": problem.file,
        "line": problem.line,
        "field": problem.field,
        "message": problem.message,
        "hint": problem.hint,
    }
