"""``llm-sync models``: what each configured provider serves."""

from __future__ import annotations

import argparse
import json
import re

from llm_sync.cli import exit_codes
from llm_sync.cli.client_access import connected
from llm_sync.cli.console import progress
from llm_sync.cli.console.output import Output, opened
from llm_sync.cli.console.streams import BOLD, complain, note, tell
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.models import ModelListing
from llm_sync.models.record import error_record


def run(args: argparse.Namespace) -> int:
    """Ask every provider at once, print its models or its error, return the exit status."""
    wanted = _pattern(args.grep)
    with connected(args) as client, opened(None) as output:
        with progress.shown(client):
            found = client.list_all_models(timeout=args.timeout)
        listings = {name: _matching(name, listing, wanted) for name, listing in found.items()}
        for name, listing in listings.items():
            if args.json:
                line = json.dumps(_record(name, listing), ensure_ascii=False)
                output.write(line)
                if listing.error:
                    tell(line)
            elif listing.error or listing.models or listing.missing or wanted is None:
                _show(output, name, listing)
    if wanted is not None and not any(listing.models for listing in listings.values()):
        note(f"no model matches {args.grep!r}")
    return exit_codes.status_of_all([listing.error or listing for listing in listings.values()])


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--grep {text!r} is not a regular expression: {error}") from None


def _matching(provider: str, listing: ModelListing, wanted: re.Pattern[str] | None) -> ModelListing:
    if listing.error:
        return listing
    kept = [
        tuple(sorted(model for model in models if wanted is None or wanted.search(f"{provider}/{model}")))
        for models in (listing.models, listing.missing)
    ]
    return ModelListing(kept[0], kept[1])


def _record(name: str, listing: ModelListing) -> dict[str, object]:
    error = error_record(listing.error) if listing.error else None
    return {"provider": name, "models": listing.models, "missing": listing.missing, "error": error}


def _show(output: Output, name: str, listing: ModelListing) -> None:
    if listing.error:
        complain(str(listing.error))
        return
    output.write((f"{name}:", BOLD), "" if listing.models else " no models")
    lines = [f"  {model}" for model in listing.models]
    lines += [f"  {model} (configured, but not listed)" for model in listing.missing]
    for line in lines:
        output.write_line(line)
