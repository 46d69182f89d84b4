"""What ``--answers`` maps prompts to: read from YAML or JSON, or given in code, checked as a whole, and looked up."""

from __future__ import annotations

import fnmatch
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_sync.errors import ConfigurationError
from llm_sync.simulator.answers.bounded_regex import RUNS_AWAY, runs_away
from llm_sync.simulator.answers.given import Failure, Given, ToolUse
from llm_sync.simulator.answers.turns import Turn, prompt_of
from llm_sync.simulator.faults.error_responses import KINDS
from llm_sync.validation import problems
from llm_sync.validation.document import Document, FileFormat, Path
from llm_sync.validation.yaml_document import read_document
from llm_sync.validation.yaml_scalars import plain_value

_FORM = "the file is a mapping with answers, patterns, models"
_TEXT = {"type": "string", "nullable": True, "meta": {"expected": "a text"}}
_ANSWER: Mapping[str, Any] = {
    "type": "dict",
    "meta": {
        "expected": "a text or a mapping",
        "unknown": "an answer has text, thinking, tool_calls, refusal, finish_reason, error",
    },
    "schema": {
        "text": _TEXT,
        "thinking": _TEXT,
        "refusal": {**_TEXT, "empty": False},
        "finish_reason": {**_TEXT, "empty": False},
        "tool_calls": {
            "type": "list",
            "nullable": True,
            "empty": False,
            "schema": {
                "type": "dict",
                "schema": {
                    "name": {"type": "string", "empty": False, "required": True},
                    "arguments": {"type": "dict", "nullable": True},
                },
            },
        },
        "error": {
            "type": "dict",
            "nullable": True,
            "schema": {
                "type": {
                    "type": "string",
                    "required": True,
                    "allowed": list(KINDS),
                    "meta": {"expected": "the name of an error"},
                },
                "message": _TEXT,
                "status": {"type": "integer", "nullable": True, "min": 200, "max": 599},
            },
        },
    },
}
_SECTION = {
    "type": "dict",
    "valuesrules": _ANSWER,
    "meta": {"expected": "a mapping of prompts to answers"},
}
_SECTIONS = {"answers": _SECTION, "patterns": _SECTION}
_SCHEMA: Mapping[str, Any] = {
    **_SECTIONS,
    "models": {
        "type": "dict",
        "valuesrules": {"type": "dict", "schema": _SECTIONS, "meta": {"unknown": "a model has answers and patterns"}},
        "meta": {"expected": "a mapping of model names to answers and patterns"},
    },
}


class Plain(str):
    """A value that was written without quotes: a text where one belongs."""

    __slots__ = ()


_FORMAT = FileFormat("an answers file", 16 * 2**20, max_values=100_000, max_depth=24, scalar=Plain, json=True)


@dataclass
class AnswerFile:
    """``exact``: by the whole prompt; ``patterns``: searched for in it, in order; ``models``: the same for some models."""

    exact: dict[str, Given] = field(default_factory=dict)
    patterns: list[tuple[re.Pattern[str], Given]] = field(default_factory=list)
    models: list[tuple[str, AnswerFile]] = field(default_factory=list)

    def find(self, model: str, turns: Sequence[Turn]) -> Given | None:
        """The answer: a model's own before everyone's, a whole prompt before a pattern; None where nothing fits."""
        prompt = prompt_of(list(turns)).strip()
        for name, own in self.models:
            if fnmatch.fnmatchcase(model, name):
                found = own.within(prompt)
                if found:
                    return found
        return self.within(prompt)

    def within(self, prompt: str) -> Given | None:
        """The answer to a prompt without blanks around it, whatever the model."""
        found = self.exact.get(prompt)
        return found or next((given for pattern, given in self.patterns if pattern.search(prompt)), None)


def load_answers(source: str | os.PathLike[str] | Mapping[Any, Any]) -> AnswerFile:
    """A file, or a mapping of prompts (texts, or compiled patterns) to answers (texts, or mappings as in a file).

    ConfigurationError with every problem there is.
    """
    document = _in_code(source) if isinstance(source, Mapping) else read_document(source, _FORMAT)
    found = document.value
    if found is None or text(found) is None or found == {}:
        if not document.problems:
            document.problem((), "there are no answers in it", _FORM)
    else:
        found = _unfolded(found) if isinstance(found, Mapping) else found
        for wrong in problems(found, _SCHEMA):
            document.problem(wrong.path, wrong.message, wrong.hint or (None if wrong.path else _FORM))
        _check_patterns(found, (), document)
    made = _section(found, (), document) if not document.problems else AnswerFile()
    if document.problems:
        where = f"the answers in {document.file}" if document.file else "the answers"
        raise ConfigurationError(
            f"{where} cannot be used",
            problems=tuple(sorted(document.problems, key=lambda problem: problem.line or 0)),
            guidance="See docs/simulator.md for the form.",
        )
    return made


def _in_code(source: Mapping[Any, Any]) -> Document:
    value: dict[str, Any] = {"answers": {}, "patterns": {}}
    document = Document("", value)
    for prompt, answer in source.items():
        if isinstance(prompt, re.Pattern) and isinstance(prompt.pattern, str):
            value["patterns"][prompt] = plain(answer)
        elif isinstance(prompt, str):
            value["answers"][prompt] = plain(answer)
        else:
            document.problem((), f"a prompt is a {type(prompt).__name__}", "give a text or a compiled pattern of text")
    return document


def _unfolded(found: Mapping[str, Any]) -> dict[str, Any]:
    """Answers that are texts as mappings, and the parts of others that are no texts as what they are."""
    out = dict(found)
    for name in ("answers", "patterns"):
        if isinstance(out.get(name), Mapping):
            out[name] = {prompt: _answer(answer) for prompt, answer in out[name].items()}
    if isinstance(out.get("models"), Mapping):
        out["models"] = {name: _unfolded(own) if isinstance(own, Mapping) else own for name, own in out["models"].items()}
    return out


def _answer(answer: Any) -> Any:
    answer = text(answer)
    if isinstance(answer, str):
        return {"text": answer}
    if not isinstance(answer, Mapping):
        return answer
    out = {key: text(value) for key, value in answer.items()}
    if isinstance(out.get("error"), Mapping):
        out["error"] = {key: values(value) if key == "status" else text(value) for key, value in out["error"].items()}
    if isinstance(out.get("tool_calls"), list):
        out["tool_calls"] = [_call(call) if isinstance(call, Mapping) else text(call) for call in out["tool_calls"]]
    return out


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values(value) if key == "arguments" else text(value) for key, value in call.items()}


def _section(found: Mapping[str, Any], path: Path, document: Document) -> AnswerFile:
    made = AnswerFile()
    for prompt, answer in (found.get("answers") or {}).items():
        made.exact[str(prompt).strip()] = _given(answer, (*path, "answers", prompt), document)
    for pattern, answer in (found.get("patterns") or {}).items():
        made.patterns.append((re.compile(pattern), _given(answer, (*path, "patterns", pattern), document)))
    for name, own in (found.get("models") or {}).items():
        made.models.append((str(name), _section(own, (*path, "models", name), document)))
    return made


def _check_patterns(found: Any, path: Path, document: Document) -> None:
    """That all patterns are such, whatever else is wrong."""
    section = found if isinstance(found, Mapping) else {}
    patterns, models = section.get("patterns"), section.get("models")
    for pattern in patterns if isinstance(patterns, Mapping) else ():
        place = (*path, "patterns", pattern)
        try:
            if runs_away(re.compile(pattern)):
                document.problem(place, *RUNS_AWAY)
        except (re.error, RecursionError, OverflowError) as error:
            hint = "put texts to be taken literally under answers"
            document.problem(place, f"not a regular expression: {error}", hint)
    for name, own in models.items() if isinstance(models, Mapping) else ():
        _check_patterns(own, (*path, "models", name), document)


def _given(answer: Mapping[str, Any], path: Path, document: Document) -> Given:
    """One answer, checked as a whole."""
    error, calls = answer.get("error"), answer.get("tool_calls") or ()
    if not answer:
        document.problem(path, "the answer is empty", 'for an empty answer write {text: ""}')
    if error is not None and len(answer) > 1:
        document.problem((*path, "error"), "an error and an answer are given together", "keep one of them")
    if answer.get("refusal") is not None and calls:
        document.problem((*path, "refusal"), "a refusal and tool_calls are given together", "keep one of them")
    return Given(
        text=str(answer.get("text") or ""),
        calls=tuple(ToolUse.of(str(call["name"]), call.get("arguments") or {}) for call in calls),
        thinking=answer.get("thinking"),
        refusal=answer.get("refusal"),
        finish=answer.get("finish_reason"),
        failure=error and Failure(error["type"], error.get("message") or "", error.get("status")),
    )


def text(value: Any) -> Any:
    """What a value without quotes is where a text belongs: itself, or None where it says that there is none."""
    if isinstance(value, Plain):
        return None if plain_value(value) is None else str(value)
    return value


def values(value: Any) -> Any:
    """Values without quotes as what they are, within lists and mappings too; numbers that are none in JSON stay texts."""
    if isinstance(value, Plain):
        found = plain_value(value)
        return str(value) if isinstance(found, float) and not math.isfinite(found) else found
    if isinstance(value, Mapping):
        return {key: values(member) for key, member in value.items()}
    return [values(member) for member in value] if isinstance(value, list) else value


def plain(value: Any, depth: int = 0) -> Any:
    """A value given in code as a file would say it: lists for tuples, nothing nested without end."""
    if depth > _FORMAT.max_depth:
        return None
    if isinstance(value, Mapping):
        return {key: plain(member, depth + 1) for key, member in value.items()}
    return [plain(member, depth + 1) for member in value] if isinstance(value, (list, tuple)) else value
