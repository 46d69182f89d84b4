"""``llm-sync cache``: look after stored answers."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import sys
import zlib
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import IO, Any

from llm_sync.cache import housekeeping, transfer
from llm_sync.cache.entry import Entry, encode_line
from llm_sync.cache.settings import default_folder, seconds, settings_of, size_in_bytes
from llm_sync.cache.store import SUFFIX, Store
from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.console import cache_text
from llm_sync.cli.console.confirm import confirm
from llm_sync.cli.console.messages import print_note
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.output_files import reason_for
from llm_sync.cli.console.quantities import count
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.errors import ConfigurationError
from llm_sync.validation.user_files import open_user_file

_NAMES = {"show": "KEY", "export": "FILE", "import": "FILE"}
_OPTIONS = {"max_age": "prune", "max_bytes": "prune", "yes": "clear", "input": "import", "text": "import", "template": "import"}


def run(args: Namespace) -> int:
    """Do what is asked of the store, and return the exit status."""
    _check(args)
    actions: dict[str, Callable[[Store, Namespace, Output], None]] = {
        "info": _info,
        "list": _list,
        "show": _show,
        "prune": _prune,
        "clear": _clear,
        "export": _export,
        "import": _import,
    }
    with open_output(None) as output:
        actions[args.action](Store(_folder(args)), args, output)
    return exit_codes.ANSWERED


def _check(args: Namespace) -> None:
    wanted = _NAMES.get(args.action)
    if wanted is None and args.names:
        raise UsageError(f"unexpected argument {args.names[0]!r}: cache {args.action} takes none")
    if wanted is not None and not args.names:
        where = "; 'llm-sync cache list' shows them" if wanted == "KEY" else ""
        raise UsageError(f"cache {args.action} needs a {wanted}{where}")
    if args.action == "export" and len(args.names) > 1:
        raise UsageError(f"unexpected argument {args.names[1]!r}: cache export writes one file")
    for name, action in _OPTIONS.items():
        if getattr(args, name) and action != args.action:
            raise UsageError(f"--{name.replace('_', '-')} is for cache {action}")
    if args.model and not args.input:
        raise UsageError("-m is for cache import --input INPUT")


def _folder(args: Namespace) -> str:
    """The folder that the command line names, or the configuration that it names, or the user's own."""
    if args.dir is not None:
        return os.path.abspath(os.path.expanduser(str(args.dir)))
    if args.config is not None:
        config = config_access.load_config(args, args.config, sends=False)
        for provider in config.providers.values():
            settings = settings_of(provider.cache)
            if settings is not None and settings.dir is not None:
                return settings.dir
    return default_folder()


def _info(store: Store, args: Namespace, output: Output) -> None:
    overview = housekeeping.overview(store)
    if args.json:
        output.write(json.dumps(overview.to_dict(), ensure_ascii=False))
    else:
        for line in cache_text.overview_lines(overview):
            output.write_line(line)


def _list(store: Store, args: Namespace, output: Output) -> None:
    for path in store.paths():
        entry = store.load(path)
        if entry is None:
            continue
        if args.json:
            output.write(json.dumps(cache_text.entry_record(entry), ensure_ascii=False))
        else:
            output.write_line(cache_text.entry_line(entry))


def _show(store: Store, args: Namespace, output: Output) -> None:
    for name in args.names:
        entry = _named(store, name)
        if args.json:
            output.write(encode_line(entry).decode("utf-8").rstrip("\n"))
        else:
            output.write(cache_text.entry_text(entry))


def _named(store: Store, name: str) -> Entry:
    """The one answer whose key begins so; behind a dash may stand the number of its sample, else it is the first of several."""
    digits, _, sample = name.partition("-")
    paths = {os.path.basename(path).removesuffix(SUFFIX): path for path in store.paths()}
    keys = [key for key in paths if digits and key.startswith(digits) and sample in ("", key.partition("-")[2])]
    requests = {key.partition("-")[0] for key in keys}
    if len(requests) == 1:
        entry = store.load(paths[keys[0]])  # the first sample sorts first
        if entry is not None:
            return entry
    problem = "is the beginning of several keys" if len(requests) > 1 else "is the key of no answer"
    raise UsageError(f"{name!r} {problem} in {store.folder}: 'llm-sync cache list' shows them")


def _prune(store: Store, args: Namespace, output: Output) -> None:
    try:
        age = None if args.max_age is None else seconds(args.max_age)
        size = None if args.max_bytes is None else size_in_bytes(args.max_bytes)
    except ConfigurationError as error:
        raise UsageError(f"{error.message.replace(' of the cache', '')}: {error.guidance}") from None
    if age is None and size is None:
        print_note("only unreadable files and what killed processes left are removed: answers need --max-age or --max-bytes")
    _report(housekeeping.prune(store, max_age=age, max_bytes=size), store, args, output)


def _clear(store: Store, args: Namespace, output: Output) -> None:
    number = sum(1 for _ in store.paths())
    if number and not args.yes and not confirm(f"Remove {count(number, 'answer')} from {store.folder}?"):
        raise UsageError(f"nothing was removed from {store.folder}: confirm it, or add --yes")
    _report(housekeeping.clear(store), store, args, output)


def _report(removed: housekeeping.Removed, store: Store, args: Namespace, output: Output) -> None:
    if args.json:
        output.write(json.dumps({"folder": store.folder, **vars(removed)}))
    else:
        output.write_line(cache_text.removed_line(removed))


def _export(store: Store, args: Namespace, output: Output) -> None:
    (name,) = args.names
    number = 0
    try:
        with _writing(name, output) as write:
            for line in transfer.export(store):
                write(line)
                number += 1
    except OSError as error:
        if name == "-":
            raise  # standard output, which every command reports alike
        raise UsageError(f"{name!r} cannot be written: {reason_for(error, name)}") from None
    if name != "-":
        print_note(f"{count(number, 'answer')} written to {name}")


@contextlib.contextmanager
def _writing(name: str, output: Output) -> Iterator[Callable[[bytes], object]]:
    """What writes a line of the export. The file is private: it has prompts and answers."""
    if name == "-":
        yield lambda line: output.write(line.decode("utf-8").rstrip("\n"))
        return
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield packed.write
        else:
            yield file.write


def _import(store: Store, args: Namespace, output: Output) -> None:
    if args.input is not None:
        _import_batch(store, args, output)
        return
    for name in args.names:
        try:
            with contextlib.ExitStack() as stack:
                file: IO[bytes] = sys.stdin.buffer if name == "-" else stack.enter_context(open_user_file(name))
                lines: Any = stack.enter_context(gzip.GzipFile(fileobj=file)) if name.endswith(".gz") else file
                result = transfer.import_lines(store, lines)
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{name!r} cannot be imported: {getattr(error, 'strerror', None) or error}") from None
        if not result.stored and not result.present:
            raise UsageError(f"{name!r} has no stored answers: the output of a batch needs its --input")
        _report_import(name, vars(result), args, output)


def _import_batch(store: Store, args: Namespace, output: Output) -> None:
    from llm_sync.batch.importing import import_answers
    from llm_sync.cli.client_access import load_run_config
    from llm_sync.client.client import LLMClient

    options: dict[str, Any] = {"models": tuple(args.model), "text": args.text, "template": args.template}
    with LLMClient(load_run_config(args, sends=False), cache=store.folder) as client:
        for name in args.names:
            try:
                result = import_answers(args.input, name, client, **options)
            except OSError as error:
                raise UsageError(f"{error.filename or name!r} cannot be read: {error.strerror or error}") from None
            _report_import(name, vars(result), args, output)


def _report_import(name: str, counts: dict[str, int], args: Namespace, output: Output) -> None:
    if args.json:
        output.write(json.dumps({"file": name, **counts}, ensure_ascii=False))
    else:
        output.write_line(cache_text.imported_line(name, counts))
