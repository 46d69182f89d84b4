"""A behaviour script: loads it, and applies its rules to requests."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llm_sync.errors import ConfigurationError
from llm_sync.simulator.faults.actions import JobAction, ResponseAction
from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.faults.delays import Latency, RateLimit
from llm_sync.simulator.faults.rules import Rule
from llm_sync.simulator.faults.script_checks import check
from llm_sync.simulator.faults.seeded_random import AttemptCounter, SeededRandom, fingerprint
from llm_sync.simulator.jobs.settings import JobSettings
from llm_sync.simulator.server.response import Response
from llm_sync.validation import closest, shown
from llm_sync.validation.document import Document, FileFormat
from llm_sync.validation.document import Path as FieldPath
from llm_sync.validation.yaml_document import read_document

SHIPPED_FOLDER = Path(__file__).parent.parent / "scripts"
_FORMAT = FileFormat("a script", max_values=20_000, max_depth=24, json=True)


class ScriptResult(NamedTuple):
    """``outcome``: None if no rule changed the response; ``on_end``: functions to be called when the request ends."""

    response: Response
    outcome: str | None
    rules: tuple[str, ...]
    on_end: tuple[Callable[[], None], ...]


class Script:
    """The rules of one file, and their counters. Thread-safe; each simulator needs its own."""

    def __init__(self, rules: list[Rule], seed: int, description: str = "", jobs: JobSettings | None = None) -> None:
        self.rules = rules
        self.jobs = jobs or JobSettings()
        self.seed = seed
        self.description = description
        self._attempts = AttemptCounter() if any(rule.needs_attempt for rule in rules) else None

    def respond(self, context: RequestContext, seed: int, wait: Callable[[float], object]) -> ScriptResult:
        """Applies the matching rules: the first one, and after rules with ``continue`` also later ones; else answers normally.

        ``wait`` sleeps for some seconds. Chance depends on ``seed``, the script's seed, the request and the attempt.
        """
        if self._attempts is not None:
            identity = context.call.payload if context.call.method == "POST" else [context.call.path, dict(context.call.query)]
            request = fingerprint(context.type_name, context.call.model, identity)
            context.attempt = self._attempts.next(request)
            context.seeded_random = SeededRandom(f"{seed} {self.seed}", request, context.attempt)
        response: Response | None = None
        outcome: str | None = None
        billed: bool | None = None
        rules: list[str] = []
        on_end: list[Callable[[], None]] = []
        try:
            for rule in self.rules:
                if not rule.matches(context):
                    continue
                rules.append(rule.name)
                action = rule.action
                if isinstance(action, Latency):
                    wait(action.seconds(context.draw_for_attempt(f"{rule.number} seconds")))
                elif isinstance(action, RateLimit):
                    refused, finish = action.enter(context)
                    if refused is not None:
                        response, outcome = refused, action.outcome
                        break
                    on_end += [finish] if finish else []
                    response = action.apply(context, response)
                elif isinstance(action, JobAction):
                    action.plan(context)
                elif isinstance(action, ResponseAction):
                    response, outcome = action.apply(context, response), action.outcome
                billed = rule.billed if rule.billed is not None else billed
                if not rule.continues:
                    break
        except BaseException:
            for finish in on_end:
                finish()
            raise
        response = context.normal_response() if response is None else response
        return ScriptResult(_with_billing(response, billed, context), outcome, tuple(rules), tuple(on_end))


def _with_billing(response: Response, billed: bool | None, context: RequestContext) -> Response:
    """The response with the tokens that are billed: as the rule says, else as its delivery says."""
    if billed is None:
        unpaid = response.delivery is not None and not response.delivery.billed
        return response._replace(tokens=None) if unpaid else response
    if not billed:
        return response._replace(tokens=None)
    return response._replace(tokens=context.normal_response().tokens) if response.tokens is None else response


def shipped() -> list[str]:
    """The names of the included scripts."""
    return sorted(path.stem for path in SHIPPED_FOLDER.glob("*.yaml"))


def load_script(source: str | os.PathLike[str] | Mapping[str, Any]) -> Script:
    """Loads an included script by name, a file by path (with a ``/``, or ending in .yaml or .yml), or a mapping.

    Raises ConfigurationError with all problems, each with its field and, for a file, its line.
    """
    if isinstance(source, (str, os.PathLike)):
        document = read_document(_resolve(source), _FORMAT)
        where = f"the script {document.file}"
    else:
        document = Document()
        document.value = _normalize(source, (), document)
        where = "the script"
    rules = check(document) if document.value is not None or not document.problems else []
    if document.problems:
        problems = sorted(document.problems, key=lambda problem: problem.line or 0)
        raise ConfigurationError(f"{where} cannot be used", problems=tuple(problems), guidance="Nothing was started.")
    jobs = JobSettings(**document.value.get("jobs", {}))
    return Script(rules, document.value.get("seed", 0), document.value.get("description", ""), jobs)


def _resolve(source: str | os.PathLike[str]) -> str | os.PathLike[str]:
    name = os.fspath(source)
    if not isinstance(source, str) or "/" in name or os.sep in name or name.endswith((".yaml", ".yml")):
        return source
    names = shipped()
    if name in names:
        return SHIPPED_FOLDER / f"{name}.yaml"
    suggestion = closest(name, names)
    raise ConfigurationError(
        f"no script is called {shown(name)!r}",
        guidance=(f"Did you mean {suggestion}? " if suggestion else "")
        + f"There are {', '.join(names)}; the path of a file has a / in it or ends in .yaml.",
    )


def _normalize(value: Any, path: FieldPath, document: Document) -> Any:
    """A value from code in the form a file gives: lists for tuples; adds a problem for too deep nesting."""
    if len(path) > _FORMAT.max_depth:
        document.problem(path[:3], f"is nested more than {_FORMAT.max_depth} deep")
        return None
    if isinstance(value, Mapping):
        return {str(key): _normalize(member, (*path, str(key)), document) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normalize(member, (*path, index), document) for index, member in enumerate(value)]
    return value
