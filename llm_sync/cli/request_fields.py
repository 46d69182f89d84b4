"""From the shared options to what a request carries: the fields of ModelRequest and the options of an attempt."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.prompt_input import read_json, read_prompt, read_text
from llm_sync.config.schema import RESERVED
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, ModelRequest
from llm_sync.models.fields import OPTIONS
from llm_sync.models.images import load_image
from llm_sync.validation.document import FileFormat
from llm_sync.validation.json_schema import check_schema
from llm_sync.validation.yaml_document import parse_document
from llm_sync.validation.yaml_scalars import plain_value


def question(args: argparse.Namespace) -> dict[str, Any]:
    """What is asked, as fields of ModelRequest: a prompt, or a conversation. Raises UsageError."""
    if args.messages is None:
        return {"prompt": read_prompt(args)}
    if args.prompt or args.input is not None:
        raise UsageError("--messages cannot be combined with a prompt: make the question the last of the messages")
    if args.image:
        raise UsageError("--messages cannot be combined with --image: give the images to a message, as in: images: [FILE]")
    messages = read_json("--messages", args.messages)
    if not isinstance(messages, list):
        raise UsageError(f"--messages {args.messages!r} is not a list: write [{{role: user, content: …}}] as JSON")
    try:
        turns = ModelRequest(messages=messages).messages or ()
        return {"messages": [replace(turn, images=[load_image(image) for image in turn.images]) for turn in turns]}
    except InvalidRequestError as error:
        which = next((f", message {number}" for number, turn in enumerate(messages, 1) if not _is_turn(turn)), "")
        raise UsageError(f"--messages {args.messages!r}{which}: {error}") from None


def _is_turn(turn: Any) -> bool:
    """Whether it is the rest of a conversation that is at fault."""
    try:
        ModelRequest(messages=[turn, Message("user", "?")])
    except InvalidRequestError:
        return False
    return True


def fields(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of ModelRequest that the options of ``options.request`` name, files read; without those not given.

    Raises UsageError for a file that cannot be used, ConfigurationError where --schema needs a package that is missing.
    """
    _check_standard_input(args)
    given = {
        "system_prompt": args.system if args.system_file is None else read_text("--system-file", args.system_file),
        "images": [_image(source) for source in args.image or ()] or None,
        "response_schema": None if args.schema is None else _schema(args.schema),
        **{field.name: getattr(args, field.name) for field in OPTIONS},
        "provider_specific": _settings(args.settings) or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _check_standard_input(args: argparse.Namespace) -> None:
    """Raise UsageError where two things are to be read from standard input: the second would be found empty."""
    prompt = getattr(args, "prompt", None)
    asked = {
        "--system-file": args.system_file == "-",
        "--schema": args.schema == "-",
        "--messages": getattr(args, "messages", None) == "-",
        "the prompt": prompt is not None
        and args.messages is None
        and ("-" in prompt or (not prompt and args.input in (None, "-"))),
        "INPUT": prompt is None and "-" in args.input,
    }
    both = [name for name, reads in asked.items() if reads]
    if len(both) > 1:
        raise UsageError(f"{' and '.join(both)} cannot both be read from standard input: put one into a file")


def attempts(args: argparse.Namespace) -> dict[str, Any]:
    """The options of ``options.attempts`` as LLMClient's calls take them; None where not given."""
    return {name: getattr(args, name) for name in ("timeout", "deadline", "max_retries")}


def _image(source: str) -> Any:
    try:
        return load_image(source)  # once, however many models see it
    except InvalidRequestError as error:
        raise UsageError(f"--image {source[:80]!r}: {error}") from None


def _schema(path: str) -> dict[str, Any]:
    schema = read_json("--schema", path)
    if not isinstance(schema, dict):
        raise UsageError(f"--schema {path!r} is not a JSON Schema: it is not an object")
    try:
        check_schema(schema)
    except InvalidRequestError as error:
        raise UsageError(f"--schema {path!r}: {error}") from None
    return schema


def _settings(given: list[tuple[tuple[str, ...], str]]) -> dict[str, Any]:
    """provider_specific from KEY=VALUE pairs; a later one wins."""
    out: dict[str, Any] = {}
    for steps, text in given:
        name = ".".join(steps)
        if steps[0] in RESERVED:
            raise UsageError(f"--set {name}: llm-sync puts model and prompt there itself")
        here = out
        for step in steps[:-1]:
            here = here.setdefault(step, {})
            if not isinstance(here, dict):
                raise UsageError(f"--set {name}: {step} is set to a single value too, keep one")
        here[steps[-1]] = _value(name, text)
    return out


def _value(name: str, text: str) -> Any:
    """A list, mapping or quoted text in JSON or YAML; a number, true, false or null; else the text as it stands."""
    value = _read(name, text) if text.lstrip().startswith(("{", "[", '"')) else plain_value(text)
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise UsageError(f"--set {name}={text[:40]}: JSON has no such number") from None
    return value


def _read(name: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):  # not JSON: in YAML keys need no quotes; or a key is there twice, which YAML tells
        document = parse_document(text.encode("utf-8"), "it", FileFormat("a value"))
    if document.problems:
        raise UsageError(f"--set {name}={text[:40]}: neither JSON nor YAML: {document.problems[0].message}")
    return document.value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a key is there twice")
    return out
