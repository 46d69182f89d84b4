"""What the coordinator makes of how its workers introduce themselves: another version, a missing key."""

from __future__ import annotations

from collections.abc import Iterable

import llm_sync
from llm_sync.engines.wire import Hello
from llm_sync.errors import AuthenticationError, ConfigurationError, LLMConnectorError
from llm_sync.events import logger

_log = logger("engines")


def problem_with(hello: Hello) -> LLMConnectorError | None:
    """Why nothing can be sent by a worker; None if all is well."""
    if hello.version != llm_sync.__version__:
        return ConfigurationError(
            f"the worker {hello.worker} has llm-sync {hello.version}, and this is {llm_sync.__version__}",
            guidance="Install the same release everywhere.",
        )
    for name, problem in hello.problems.items():
        guidance = problem.guidance or "Give the worker's process the variable or file that has the key."
        what = f"the worker {hello.worker} cannot send: {problem.message}"
        kind = type(problem) if isinstance(problem, (AuthenticationError, ConfigurationError)) else AuthenticationError
        return kind(what, provider=name, guidance=guidance)
    return None


def refuse_problems(hellos: Iterable[Hello]) -> None:
    """Raise the first worker's problem, and report those of the others, each once. Nothing has been sent."""
    problems = [problem for hello in hellos if (problem := problem_with(hello)) is not None]
    for problem in problems[1:]:
        _log.error("%s", problem)
    if problems:
        raise problems[0]
