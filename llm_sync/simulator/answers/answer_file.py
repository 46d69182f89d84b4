"""The answers file of ``--answers``: reads it from YAML, JSON or a mapping, checks it, and finds the answer to a prompt."""

from __future__ import annotations

import fnmatch
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_sync.errors import ConfigurationError
from llm_sync.simulator.answers.canned_answer import CannedAnswer, CannedError, ToolCall
from llm_sync.simulator.answers.turns import Turn, prompt_text
from llm_sync.simulator.faults.error_responses import ERROR_CLASSES
from llm_sync.validation import problems
from llm_sync.validation.document import Document, FileFormat, Path
from llm_sync.validation.linear_regex import LinearPattern, UnsupportedPattern, compile_pattern
from llm_sync.validation.yaml_document import read_document
from llm_sync.validation.yaml_scalars import plain_value

_LAYOUT_HINT = "the file is a mapping with answers, patterns, models"
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
                    "allowed": list(ERROR_CLASSES),
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


class UnquotedScalar(str):
    """A value that was written without quotes; it is read as text where the schema wants text."""

    __slots__ = ()


_FORMAT = FileFormat("an answers file", 16 * 2**20, max_values=100_000, max_depth=24, scalar=UnquotedScalar, json=True)


@dataclass
class AnswerFile:
    """Answers by whole prompt (``exact``) and by regular expression (``patterns``); ``models``: the same by name or wildcard."""

    exact: dict[str, CannedAnswer] = field(default_factory=dict)
    patterns: list[tuple[LinearPattern, CannedAnswer]] = field(default_factory=list)
    models: list[tuple[str, AnswerFile]] = field(default_factory=list)

    def find(self, model: str, turns: Sequence[Turn]) -> CannedAnswer | None:
        """The answer, or None. A model's section comes before the general one, a whole prompt before a pattern."""
        prompt = prompt_text(list(turns)).strip()
        for name, section in self.models:
            if fnmatch.fnmatchcase(model, name):
                answer = section.find_for_prompt(prompt)
                if answer:
                    return answer
        return self.find_for_prompt(prompt)

    def find_for_prompt(self, prompt: str) -> CannedAnswer | None:
        """The answer to a stripped prompt in this section, ``models`` left out; None if there is none."""
        answer = self.exact.get(prompt)
        return answer or next((answer for pattern, answer in self.patterns if pattern.matches(prompt)), None)


def load_answers(source: str | os.PathLike[str] | Mapping[Any, Any]) -> AnswerFile:
    """Reads a file, or a mapping of prompts (texts or compiled patterns) to answers (texts, or mappings as in a file).

    Raises ConfigurationError with all problems.
    """
    document = _document_of(source) if isinstance(source, Mapping) else read_document(source, _FORMAT)
    value = document.value
    if value is None or as_text(value) is None or value == {}:
        if not document.problems:
            document.problem((), "it contains no answers", _LAYOUT_HINT)
    else:
        value = _expand(value) if isinstance(value, Mapping) else value
        for problem in problems(value, _SCHEMA):
            document.problem(problem.path, problem.message, problem.hint or (None if problem.path else _LAYOUT_HINT))
        _check_patterns(value, (), document)
    answer_file = _build_section(value, (), document) if not document.problems else AnswerFile()
    if document.problems:
        where = f"the answers in {document.file}" if document.file else "the answers"
        raise ConfigurationError(
            f"{where} cannot be used",
            problems=tuple(sorted(document.problems, key=lambda problem: problem.line or 0)),
            guidance="See docs/simulator.md for the form.",
        )
    return answer_file


def _document_of(source: Mapping[Any, Any]) -> Document:
    value: dict[str, Any] = {"answers": {}, "patterns": {}}
    document = Document("", value)
    for prompt, answer in source.items():
        if isinstance(prompt, re.Pattern) and isinstance(prompt.pattern, str):
            value["patterns"][prompt] = normalize(answer)
        elif isinstance(prompt, str):
            value["answers"][prompt] = normalize(answer)
        else:
            document.problem((), f"a prompt is of type {type(prompt).__name__}", "give a text or a compiled pattern of text")
    return document


def _expand(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section with short answers (texts) written as mappings, and unquoted values converted where text is not wanted."""
    expanded = dict(section)
    for name in ("answers", "patterns"):
        if isinstance(expanded.get(name), Mapping):
            expanded[name] = {prompt: _expand_answer(answer) for prompt, answer in expanded[name].items()}
    if isinstance(expanded.get("models"), Mapping):
        expanded["models"] = {
            name: _expand(model_section) if isinstance(model_section, Mapping) else model_section
            for name, model_section in expanded["models"].items()
        }
    return expanded


def _expand_answer(answer: Any) -> Any:
    answer = as_text(answer)
    if isinstance(answer, str):
        return {"text": answer}
    if not isinstance(answer, Mapping):
        return answer
    expanded = {key: as_text(value) for key, value in answer.items()}
    if isinstance(expanded.get("error"), Mapping):
        expanded["error"] = {
            key: as_values(value) if key == "status" else as_text(value) for key, value in expanded["error"].items()
        }
    if isinstance(expanded.get("tool_calls"), list):
        expanded["tool_calls"] = [
            _expand_call(call) if isinstance(call, Mapping) else as_text(call) for call in expanded["tool_calls"]
        ]
    return expanded


def _expand_call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {key: as_values(value) if key == "arguments" else as_text(value) for key, value in call.items()}


def _build_section(section: Mapping[str, Any], path: Path, document: Document) -> AnswerFile:
    answer_file = AnswerFile()
    for prompt, answer in (section.get("answers") or {}).items():
        answer_file.exact[str(prompt).strip()] = _canned_answer(answer, (*path, "answers", prompt), document)
    for pattern, answer in (section.get("patterns") or {}).items():
        answer_file.patterns.append((compile_pattern(pattern), _canned_answer(answer, (*path, "patterns", pattern), document)))
    for name, model_section in (section.get("models") or {}).items():
        answer_file.models.append((str(name), _build_section(model_section, (*path, "models", name), document)))
    return answer_file


def _check_patterns(value: Any, path: Path, document: Document) -> None:
    """Adds a problem for every pattern that cannot be used; ``value`` may have any other mistake."""
    section = value if isinstance(value, Mapping) else {}
    patterns, models = section.get("patterns"), section.get("models")
    for pattern in patterns if isinstance(patterns, Mapping) else ():
        pattern_path = (*path, "patterns", pattern)
        try:
            compile_pattern(pattern)
        except UnsupportedPattern as error:
            document.problem(pattern_path, str(error), "put texts to be taken literally under answers")
    for name, model_section in models.items() if isinstance(models, Mapping) else ():
        _check_patterns(model_section, (*path, "models", name), document)


def _canned_answer(answer: Mapping[str, Any], path: Path, document: Document) -> CannedAnswer:
    """One answer; adds a problem if its parts do not go together."""
    error, calls = answer.get("error"), answer.get("tool_calls") or ()
    if not answer:
        document.problem(path, "the answer is empty", 'for an empty answer write {text: ""}')
    if error is not None and len(answer) > 1:
        document.problem((*path, "error"), "an error and an answer are given together", "keep one of them")
    if answer.get("refusal") is not None and calls:
        document.problem((*path, "refusal"), "a refusal and tool_calls are given together", "keep one of them")
    return CannedAnswer(
        text=str(answer.get("text") or ""),
        tool_calls=tuple(ToolCall.of_arguments(str(call["name"]), call.get("arguments") or {}) for call in calls),
        thinking=answer.get("thinking"),
        refusal=answer.get("refusal"),
        finish_reason=answer.get("finish_reason"),
        error=error and CannedError(error["type"], error.get("message") or "", error.get("status")),
    )


def as_text(value: Any) -> Any:
    """An unquoted value as text, or None where it means null; other values unchanged."""
    if isinstance(value, UnquotedScalar):
        return None if plain_value(value) is None else str(value)
    return value


def as_values(value: Any) -> Any:
    """Unquoted values as YAML types, also within lists and mappings; numbers that JSON cannot express stay text."""
    if isinstance(value, UnquotedScalar):
        typed_value = plain_value(value)
        return str(value) if isinstance(typed_value, float) and not math.isfinite(typed_value) else typed_value
    if isinstance(value, Mapping):
        return {key: as_values(member) for key, member in value.items()}
    return [as_values(member) for member in value] if isinstance(value, list) else value


def normalize(value: Any, depth: int = 0) -> Any:
    """A value from code in the form a file gives: lists for tuples, None for what is nested deeper than a file may be."""
    if depth > _FORMAT.max_depth:
        return None
    if isinstance(value, Mapping):
        return {key: normalize(member, depth + 1) for key, member in value.items()}
    return [normalize(member, depth + 1) for member in value] if isinstance(value, (list, tuple)) else value
