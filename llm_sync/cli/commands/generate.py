"""``llm-sync generate``: send one prompt to one or several models and print the answers."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from llm_sync.cli import request_fields
from llm_sync.cli.client_access import open_client
from llm_sync.cli.console import progress
from llm_sync.cli.console.error_report import report
from llm_sync.cli.console.output import open_output
from llm_sync.cli.generate_run import GenerateRun, UnsentError
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.outcome import status_of, status_of_all
from llm_sync.config import LLMConfig
from llm_sync.config.routing import route
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models import ModelRequest, ModelResponse
from llm_sync.models.route import Route

if TYPE_CHECKING:
    from llm_sync.cli.generate_history import GenerateHistory
    from llm_sync.client.client import LLMClient


def run(args: argparse.Namespace) -> int:
    """Send the prompt, print the answers in the order of the models, return the exit status."""
    if args.id is not None and not args.json:
        raise UsageError("--id is part of the records that --json prints: add --json")
    fields = {**request_fields.prompt_fields(args), **request_fields.request_fields(args), "id": args.id}
    with open_client(args) as client, _history(client, args) as history:
        named = args.model or [history.model if history else None]
        fields = history.with_earlier_turns(fields) if history else fields
        routes = [_route(client.config, model) for model in named]
        names = [_name(client.config, model, each, args) for model, each in zip(named, routes, strict=True)]
        requests = [ModelRequest(model=name, **fields) for name in names]
        single = [
            each
            for each, name, request in zip(routes, names, requests, strict=True)
            if name == "/".join(each) and not client.dispatcher.is_stored(request)
        ]
        problems = _report_unusable_providers(client, single, args)
        if problems:
            return status_of(problems[0])
        with open_output(args.output, append=args.append) as output:
            with progress.show_progress(client):
                run_ = GenerateRun(client, args, routes, output, names, history and history.begin(requests))
                outcomes = run_.run(requests)
            if not args.json and not any(isinstance(outcome, ModelResponse) for outcome in outcomes):
                output.discard()
    status = status_of_all([outcome for outcome in outcomes if not isinstance(outcome, UnsentError)])
    return history.status(status) if history else status


def _history(client: LLMClient, args: argparse.Namespace) -> AbstractContextManager[GenerateHistory | None]:
    """The conversations of this command, or None where nothing is kept, for which nothing is imported."""
    wanted = client.config.history if args.history is None else args.history
    if not (wanted or args.goes_on or args.conversation is not None):
        return nullcontext()
    from llm_sync.cli.generate_history import open_history

    return open_history(client, args)


def _route(config: LLMConfig, model: str | None) -> Route:
    try:
        return route(config, model)
    except InvalidRequestError as error:  # no model is named, and the configuration has no default
        raise UsageError(f"{error.message}: name one with -m. {error.guidance}") from None


def _name(config: LLMConfig, model: str | None, target: Route, args: argparse.Namespace) -> str:
    """How the library is asked: for a route by the route's name, for a single model by its full name."""
    full = "/".join(target)
    if args.strict_route or model == full:
        return full
    from llm_sync.config.routes import is_route

    return str(model or config.default_model) if is_route(config, model) else full


def _report_unusable_providers(client: LLMClient, routes: list[Route], args: argparse.Namespace) -> list[LLMConnectorError]:
    """Report every provider that cannot be used, such as for a missing key, before anything is paid for."""
    problems = []
    for provider in dict.fromkeys(each.provider for each in routes):
        try:
            client.check_providers([provider])
        except LLMConnectorError as error:  # noqa: PERF203  (each one is reported)
            report(error, as_record=args.json, request_id=args.id)
            problems.append(error)
    return problems
