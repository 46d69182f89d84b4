"""From the command line's options to the fields of ModelRequest and the options of the client's calls."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from llm_sync.cli.input_files import MAX_FILE_BYTES, read_file, read_json, read_text
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.prompt_input import read_prompt
from llm_sync.cli.set_option import provider_specific
from llm_sync.errors import InvalidRequestError
from llm_sync.models import Message, ModelRequest
from llm_sync.models.fields import OPTIONS

_log = logging.getLogger("llm_sync.cli")


def prompt_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The prompt, or the conversation of --messages, as fields of ModelRequest. Raises UsageError."""
    if args.messages is None:
        return {"prompt": read_prompt(args)}
    if args.prompt or args.input is not None:
        raise UsageError("--messages cannot be combined with a prompt: make the question the last of the messages")
    if args.image:
        raise UsageError("--messages cannot be combined with --image: give the images to a message, as in: images: [FILE]")
    if args.file:
        raise UsageError("--messages cannot be combined with --file: give the files to a message, as in: parts: […]")
    messages = read_json("--messages", args.messages)
    if not isinstance(messages, list):
        raise UsageError(f"--messages {args.messages!r} is not a list: write [{{role: user, content: …}}] as JSON")
    from llm_sync.client.request_files import RequestFiles, allowed_folders  # few commands have messages
    from llm_sync.openai_shape.conversation import read_conversation

    try:
        turns, adjustments = read_conversation(messages, strict=args.strict)
        files = RequestFiles(allowed_folders(args.messages, args.allow_files))
        request = files.load(ModelRequest(messages=turns))
    except (InvalidRequestError, OSError) as error:
        wrong = next((f", message {number}" for number, turn in enumerate(messages, 1) if not _is_valid_turn(turn)), "")
        raise UsageError(f"--messages {args.messages!r}{wrong}: {error}") from None
    for adjustment in adjustments:
        _log.warning("--messages %r: %s", args.messages, adjustment.without_text())
    return {"messages": request.messages}


def _is_valid_turn(turn: Any) -> bool:
    """Whether a message is valid by itself, so that the error is about another message or their order."""
    from llm_sync.openai_shape.conversation import read_conversation

    try:
        ModelRequest(messages=[*read_conversation([turn])[0], Message("user", "?")])
    except InvalidRequestError:
        return False
    return True


def request_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of ModelRequest that options are given for; files are read.

    Raises UsageError for a file that cannot be used, ConfigurationError if --schema needs a package that is missing.
    """
    _check_standard_input(args)
    fields = {
        "system_prompt": args.system if args.system_file is None else read_text("--system-file", args.system_file),
        "images": [_load_file("--image", source) for source in args.image or ()] or None,
        "documents": [_load_file("--file", source) for source in args.file or ()] or None,
        "response_schema": None if args.schema is None else _load_schema(args.schema),
        **{field.name: getattr(args, field.name) for field in OPTIONS},
        "provider_specific": provider_specific(args.settings) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def attempt_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options for attempts as LLMClient's calls take them; None if not given."""
    return {name: getattr(args, name) for name in ("timeout", "deadline", "max_retries")}


def _check_standard_input(args: argparse.Namespace) -> None:
    """Raise UsageError if two things are to be read from standard input: the second would be empty."""
    prompt = getattr(args, "prompt", None)
    reads_stdin = {
        "--system-file": args.system_file == "-",
        "--schema": args.schema == "-",
        "--messages": getattr(args, "messages", None) == "-",
        "the prompt": prompt is not None
        and args.messages is None
        and ("-" in prompt or (not prompt and args.input in (None, "-"))),
        "INPUT": prompt is None and "-" in args.input,
    }
    names = [name for name, reads in reads_stdin.items() if reads]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} cannot both be read from standard input: put one into a file")


def _load_file(option: str, source: str) -> Any:
    """The file or URL that an option names, read once for all models."""
    from llm_sync.client.request_files import named_file
    from llm_sync.models.documents import load_file
    from llm_sync.models.images import load_image
    from llm_sync.models.media import is_path

    load, noun = (load_image, "image") if option == "--image" else (load_file, "file")
    try:
        if not is_path(source):
            return load(source)
        return named_file(load, read_file(option, source, MAX_FILE_BYTES), source, noun)
    except InvalidRequestError as error:
        raise UsageError(f"{option} {source[:80]!r}: {error}") from None


def _load_schema(path: str) -> dict[str, Any]:
    schema = read_json("--schema", path)
    if not isinstance(schema, dict):
        raise UsageError(f"--schema {path!r} is not a JSON Schema: it is not an object")
    try:
        from llm_sync.validation.json_schema import check_schema

        return dict(check_schema(schema))
    except InvalidRequestError as error:
        raise UsageError(f"--schema {path!r}: {error}") from None
