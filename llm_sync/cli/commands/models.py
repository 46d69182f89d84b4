"""``llm-sync models``: list the models that each configured provider serves."""

from __future__ import annotations

import argparse
import json
import re

from llm_sync.cli.client_access import open_client
from llm_sync.cli.console.messages import print_error, print_note, write_stderr
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.progress import show_progress
from llm_sync.cli.console.terminal import BOLD
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.outcome import status_of_all
from llm_sync.models import ModelListing
from llm_sync.models.record import error_record


def run(args: argparse.Namespace) -> int:
    """Ask all providers at once, print the models or the error of each, return the exit status."""
    pattern = _pattern(args.grep)
    with open_client(args) as client, open_output(None) as output:
        with show_progress(client):
            complete = client.list_all_models(timeout=args.timeout)
        listings = {name: _matching(name, listing, pattern) for name, listing in complete.items()}
        for name, listing in listings.items():
            if args.json:
                line = json.dumps(_record(name, listing), ensure_ascii=False)
                output.write(line)
                if listing.error:
                    write_stderr(line)
            elif listing.error or listing.models or listing.missing or pattern is None:
                _print(output, name, listing)
    if pattern is not None and not any(listing.models for listing in listings.values()):
        print_note(f"no model matches {args.grep!r}")
    return status_of_all([listing.error or listing for listing in listings.values()])


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--grep {text!r} is not a regular expression: {error}") from None


def _matching(provider: str, listing: ModelListing, pattern: re.Pattern[str] | None) -> ModelListing:
    """The listing, sorted, with the models that match."""
    if listing.error:
        return listing
    models, missing = (
        tuple(sorted(model for model in names if pattern is None or pattern.search(f"{provider}/{model}")))
        for names in (listing.models, listing.missing)
    )
    return ModelListing(models, missing)


def _record(name: str, listing: ModelListing) -> dict[str, object]:
    error = error_record(listing.error) if listing.error else None
    return {"provider": name, "models": listing.models, "missing": listing.missing, "error": error}


def _print(output: Output, name: str, listing: ModelListing) -> None:
    if listing.error:
        print_error(str(listing.error))
        return
    output.write((f"{name}:", BOLD), "" if listing.models else " no models")
    for model in listing.models:
        output.write_line(f"  {model}")
    for model in listing.missing:
        output.write_line(f"  {model} (configured, but not listed)")
