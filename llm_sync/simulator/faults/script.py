"""A whole script: read, checked, and done to each request."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llm_sync.errors import ConfigurationError
from llm_sync.simulator.faults.actions import Change
from llm_sync.simulator.faults.context import Scene
from llm_sync.simulator.faults.delays import Latency, Limit
from llm_sync.simulator.faults.rules import Rule
from llm_sync.simulator.faults.script_checks import check
from llm_sync.simulator.faults.seeded_random import Attempts, Draws, fingerprint
from llm_sync.simulator.server.response import Response
from llm_sync.validation import closest, shown
from llm_sync.validation.document import Document, FileFormat
from llm_sync.validation.document import Path as FieldPath
from llm_sync.validation.yaml_document import read_document

SHIPPED_FOLDER = Path(__file__).parent.parent / "scripts"
_FORMAT = FileFormat("a script", max_values=20_000, max_depth=24, json=True)


class Performance(NamedTuple):
    """What a script made of one request. ``outcome``: None where it only looked on; ``ended``: to be called when it is over."""

    response: Response
    outcome: str | None
    rules: tuple[str, ...]
    ended: tuple[Callable[[], None], ...]


class Script:
    """The rules of one file, and their counts. Any thread may use it; two simulators need one each."""

    def __init__(self, rules: list[Rule], seed: int, description: str = "") -> None:
        self.rules = rules
        self.seed = seed
        self.description = description
        self._attempts = Attempts() if any(rule.draws for rule in rules) else None

    def perform(self, scene: Scene, seed: int, wait: Callable[[float], object]) -> Performance:
        """Answers ``scene``: by the first rule that takes it and those that let others go on, else as the dialect does.

        ``wait`` lets so many seconds pass. Draws depend on ``seed``, the script's own seed, the request and its attempt.
        """
        if self._attempts is not None:
            known = scene.call.payload if scene.call.method == "POST" else [scene.call.path, dict(scene.call.query)]
            request = fingerprint(scene.name, scene.call.model, known)
            scene.attempt = self._attempts.next(request)
            scene.draws = Draws(f"{seed} {self.seed}", request, scene.attempt)
        response: Response | None = None
        outcome: str | None = None
        billed: bool | None = None
        rules: list[str] = []
        ended: list[Callable[[], None]] = []
        try:
            for rule in self.rules:
                if not rule.takes(scene):
                    continue
                rules.append(rule.name)
                action = rule.action
                if isinstance(action, Latency):
                    wait(action.seconds(scene.of_attempt(f"{rule.number} seconds")))
                elif isinstance(action, Limit):
                    refused, leave = action.enter(scene)
                    if refused is not None:
                        response, outcome = refused, action.outcome
                        break
                    ended += [leave] if leave else []
                    response = action.apply(scene, response)
                elif isinstance(action, Change):
                    response, outcome = action.apply(scene, response), action.outcome
                billed = rule.billed if rule.billed is not None else billed
                if not rule.goes_on:
                    break
        except BaseException:
            for leave in ended:
                leave()
            raise
        response = scene.good() if response is None else response
        return Performance(_billed(response, billed, scene), outcome, tuple(rules), tuple(ended))


def _billed(response: Response, billed: bool | None, scene: Scene) -> Response:
    """With the tokens that are paid for: what the rule says, else what the way it goes says."""
    if billed is None:
        unpaid = response.delivery is not None and not response.delivery.billed
        return response._replace(tokens=None) if unpaid else response
    if not billed:
        return response._replace(tokens=None)
    return response._replace(tokens=scene.good().tokens) if response.tokens is None else response


def shipped() -> list[str]:
    """The names of the scripts that come with the package."""
    return sorted(path.stem for path in SHIPPED_FOLDER.glob("*.yaml"))


def load_script(source: str | os.PathLike[str] | Mapping[str, Any]) -> Script:
    """A script by the name of a shipped one, by path (with a ``/``, or ending in .yaml or .yml), or as a mapping.

    ConfigurationError with every problem found, each with its field and, of a file, its line.
    """
    if isinstance(source, (str, os.PathLike)):
        document = read_document(_found(source), _FORMAT)
        where = f"the script {document.file}"
    else:
        document = Document()
        document.value = _plain(source, (), document)
        where = "the script"
    rules = check(document) if document.value is not None or not document.problems else []
    if document.problems:
        problems = sorted(document.problems, key=lambda problem: problem.line or 0)
        raise ConfigurationError(f"{where} cannot be used", problems=tuple(problems), guidance="Nothing was started.")
    return Script(rules, document.value.get("seed", 0), document.value.get("description", ""))


def _found(source: str | os.PathLike[str]) -> str | os.PathLike[str]:
    name = os.fspath(source)
    if not isinstance(source, str) or "/" in name or os.sep in name or name.endswith((".yaml", ".yml")):
        return source
    names = shipped()
    if name in names:
        return SHIPPED_FOLDER / f"{name}.yaml"
    near = closest(name, names)
    raise ConfigurationError(
        f"no script is called {shown(name)!r}",
        guidance=(f"Did you mean {near}? " if near else "")
        + f"There are {', '.join(names)}; the path of a file has a / in it or ends in .yaml.",
    )


def _plain(value: Any, path: FieldPath, document: Document) -> Any:
    """A value given in code as a file would say it: lists for tuples, and nothing nested without end."""
    if len(path) > _FORMAT.max_depth:
        document.problem(path[:3], f"is nested more than {_FORMAT.max_depth} deep")
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(member, (*path, str(key)), document) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member, (*path, index), document) for index, member in enumerate(value)]
    return value
