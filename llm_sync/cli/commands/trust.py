"""``llm-sync trust``: record, list or revoke the trust in configurations that are found in the working folder."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from typing import Any

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.console.config_problems import problem_record
from llm_sync.cli.console.messages import print_note
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.config import search_path, trust
from llm_sync.errors import ConfigurationError

MISSING = "missing"  # the state of a record whose file cannot be read


def run(args: Namespace) -> int:
    """Trust, list or revoke; return the exit status. Runs nothing that a configuration names, and reads no other file."""
    if args.list and args.name is not None:
        raise UsageError("--list takes no configuration: it lists all trusted files")
    with open_output(None) as output:
        if args.list:
            _list(output, as_json=args.json)
        elif args.revoke:
            _revoke(args, output)
        else:
            _trust(args, output)
    return exit_codes.ANSWERED


def _trust(args: Namespace, output: Output) -> None:
    path = _find(args)
    review = trust.review(path)
    state, record = review.status.state, review.status.record
    if args.name is None and not _is_in_working_folder(path, args.config_dir):
        print_note(f"{path} needs no trust: it was not found in the working folder")
    elif not review.needs:
        print_note(f"{path} needs no trust: it does nothing that is refused without trust")
    else:
        record = trust.record_trust(path, digest=review.status.digest)
        state = trust.TRUSTED
        needs = "".join(f"\n  {need}" for need in review.needs)
        print_note(f"trusted until its content changes; what it is trusted for:{needs}")
    if args.json:
        recorded = record.recorded if record is not None and state == trust.TRUSTED else None
        needs_records = [problem_record(need) for need in review.needs]
        document = _document(review.status.path, review.status.digest, recorded, state)
        output.write(json.dumps({**document, "needs": needs_records}, ensure_ascii=False))
    else:
        output.write(review.status.path)


def _revoke(args: Namespace, output: Output) -> None:
    path = os.path.realpath(_find(args))
    revoked = trust.revoke_trust(path)
    print_note("no longer trusted" if revoked else "nothing to revoke: this file was not trusted")
    if args.json:
        output.write(json.dumps({"path": path, "revoked": revoked}, ensure_ascii=False))
    else:
        output.write(path)


def _list(output: Output, *, as_json: bool) -> None:
    records = trust.list_trusted()
    for record in records:
        state = _current_state(record.path)
        if as_json:
            output.write(json.dumps(_document(record.path, record.digest, record.recorded, state), ensure_ascii=False))
        else:
            output.write_line(f"{record.path}  ({state}, recorded {record.recorded})")
    if not records:
        print_note("no configuration is trusted")


def _current_state(path: str) -> str:
    try:
        return trust.trust_status(path).state
    except ConfigurationError:
        return MISSING


def _find(args: Namespace) -> str:
    """The path of the configuration that the command line names, or that is used when none is named."""
    if args.name is None:
        config_access.require_any_config(args)
    with config_access.explain_choice(args, args.name):
        return os.fspath(config_access.config_loader(args).find(args.name))


def _is_in_working_folder(path: str, config_dir: str | None) -> bool:
    folders = [folder.path for folder in search_path.folders(config_dir) if folder.of_project]
    return any(os.path.dirname(path) == os.fspath(folder) for folder in folders)


def _document(path: str, digest: str, recorded: str | None, state: str) -> dict[str, Any]:
    return {"path": path, "state": state, "digest": digest, "recorded": recorded}
