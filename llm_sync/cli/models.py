"""``llm-sync models``: what each configured provider serves."""

from __future__ import annotations

import argparse
import json

from llm_sync.cli import exits
from llm_sync.cli.client import connected
from llm_sync.cli.output import Output, opened
from llm_sync.cli.streams import complain
from llm_sync.models import ModelListing
from llm_sync.records import error_record


def run(args: argparse.Namespace) -> int:
    """Ask every provider at once, print its models or its error, return the exit status."""
    with connected(args) as client, opened(None) as output:
        listings = client.list_all_models(timeout=args.timeout)
        for name, listing in listings.items():
            if args.json:
                output.write(json.dumps(_record(name, listing), ensure_ascii=False))
            else:
                _show(output, name, listing)
    return exits.status_of_all([listing.error or listing for listing in listings.values()])


def _record(name: str, listing: ModelListing) -> dict[str, object]:
    error = error_record(listing.error) if listing.error else None
    return {"provider": name, "models": listing.models, "missing": listing.missing, "error": error}


def _show(output: Output, name: str, listing: ModelListing) -> None:
    if listing.error:
        complain(str(listing.error))
        return
    lines = [f"{name}: {'' if listing.models else 'no models'}".rstrip()]
    lines += [f"  {model}" for model in listing.models]
    lines += [f"  {model} (configured, but not listed)" for model in listing.missing]
    output.write("\n".join(lines))
