"""``llm-sync history``: look at the conversations that ``generate`` has kept, and delete them."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable
from itertools import islice
from typing import Any

from llm_sync.cli import exit_codes
from llm_sync.cli.console import history_text
from llm_sync.cli.console.confirm import confirm
from llm_sync.cli.console.messages import print_note, print_warning
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.quantities import count
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.client.simulation import URL_VARIABLE
from llm_sync.history import conversation, overview
from llm_sync.history import folder as folders
from llm_sync.history.folder import NoConversation


def run(args: Namespace) -> int:
    """Do what is asked of the history, and return the exit status."""
    _check(args)
    folder = folders.folder_of_user(simulated=bool(os.environ.get(URL_VARIABLE)))
    actions: dict[str, Callable[[str, Namespace, Output], None]] = {
        "list": _list,
        "show": _show,
        "search": _search,
        "delete": _delete,
    }
    with open_output(None) as output:
        try:
            actions[args.action](folder, args, output)
        except NoConversation as error:
            raise UsageError(f"{error}: 'llm-sync history list' shows what there is in {folder}") from None
    return exit_codes.ANSWERED


def _check(args: Namespace) -> None:
    if args.action == "list" and args.words:
        raise UsageError(f"unexpected argument {args.words[0]!r}: history list takes none")
    if args.action == "show" and len(args.words) > 1:
        raise UsageError(f"unexpected argument {args.words[1]!r}: history show shows one conversation")
    if args.action == "search" and not "".join(args.words).strip():
        raise UsageError("history search needs a TEXT")
    if args.action == "delete" and bool(args.words) == args.all:
        raise UsageError("history delete needs an ID, or --all")
    if args.action != "delete" and (args.all or args.yes):
        raise UsageError("--all and --yes are for history delete")
    if args.action not in ("list", "search") and args.limit is not None:
        raise UsageError("--limit is for history list and history search")


def _list(folder: str, args: Namespace, output: Output) -> None:
    is_empty = True
    for each in islice(overview.overviews(folder), args.limit):
        is_empty = False
        _write(output, args, each.to_dict(), history_text.overview_line(each))
    if is_empty:
        print_note(f"there are no conversations in {folder}; 'llm-sync generate --history' begins one")


def _search(folder: str, args: Namespace, output: Output) -> None:
    is_empty = True
    for match in islice(overview.search(folder, " ".join(args.words)), args.limit):
        is_empty = False
        _write(output, args, match.to_dict(), history_text.match_line(match))
    if is_empty:
        print_note(f"no prompt and no answer in {folder} contains {' '.join(args.words)!r}")


def _write(output: Output, args: Namespace, document: dict[str, Any], line: str) -> None:
    if args.json:
        output.write(json.dumps(document, ensure_ascii=False))
    else:
        output.write_line(line)


def _show(folder: str, args: Namespace, output: Output) -> None:
    name = folders.find(folder, args.words[0]) if args.words else folders.last(folder)
    content = conversation.read(folder, name)
    if content.damaged:
        print_warning(f"the conversation {name} has {count(content.damaged, 'damaged line')}, left out here")
    if args.json:
        for number, turn in enumerate(content.turns, 1):
            output.write(json.dumps({"conversation": name, "turn": number, **turn.to_dict()}, ensure_ascii=False))
        return
    for pieces in history_text.conversation_pieces(content.turns):
        output.write(*pieces)


def _delete(folder: str, args: Namespace, output: Output) -> None:
    names = folders.names(folder) if args.all else [folders.find(folder, word) for word in args.words]
    if args.all and names and not args.yes and not confirm(f"Delete {count(len(names), 'conversation')} from {folder}?"):
        raise UsageError(f"nothing was deleted from {folder}: confirm it, or add --yes")
    deleted = [name for name in dict.fromkeys(names) if _is_deleted(folder, name)]
    kept = [name for name in dict.fromkeys(names) if name not in deleted]
    if args.json:
        output.write(json.dumps({"folder": folder, "deleted": deleted, "in_use": kept}))
    else:
        output.write_line(f"{count(len(deleted), 'conversation')} deleted")
    if kept:
        raise UsageError(f"in use by another llm-sync, and not deleted: {', '.join(kept)}")


def _is_deleted(folder: str, name: str) -> bool:
    """Delete a conversation; False if it is in use. One that is gone already counts as deleted."""
    try:
        return conversation.delete(folder, name)
    except NoConversation:
        return True
