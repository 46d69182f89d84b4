"""``llm-sync generate``: one prompt to one or several models."""

from __future__ import annotations

import argparse
import json
import logging
from concurrent.futures import Future

from llm_sync.cli import exits
from llm_sync.cli.arguments import UsageError
from llm_sync.cli.client import connected, drain
from llm_sync.cli.output import Output, opened
from llm_sync.cli.prompts import read_prompt
from llm_sync.cli.streams import complain, tell
from llm_sync.client import LLMClient
from llm_sync.config import LLMConfig
from llm_sync.dispatch import waiting
from llm_sync.errors import InvalidRequestError, LLMConnectorError
from llm_sync.models import ModelRequest, ModelResponse
from llm_sync.records import record
from llm_sync.routing import Route, route

_log = logging.getLogger("llm_sync.cli")

Outcome = ModelResponse | LLMConnectorError


def run(args: argparse.Namespace) -> int:
    """Ask, print the answers in the order of the models, return the exit status."""
    prompt = read_prompt(args)
    with connected(args, strict=args.strict) as client:
        routes = [_route(client.config, model) for model in args.model or [None]]
        unfit = _unfit(client, routes)
        if unfit:
            return exits.status_of(unfit[0])
        requests = [_request(args, prompt, place) for place in routes]
        with opened(args.output) as output:
            outcomes = _ask(client, args, routes, requests, output)
            if not args.json and not any(isinstance(outcome, ModelResponse) for outcome in outcomes):
                output.discard()
    return exits.status_of_all(outcomes)


def _unfit(client: LLMClient, routes: list[Route]) -> list[LLMConnectorError]:
    """What keeps any of the providers from being used, all of it told: nothing is paid for while something is missing."""
    found = []
    for provider in dict.fromkeys(place.provider for place in routes):
        try:
            client.check_providers([provider])
        except LLMConnectorError as error:  # noqa: PERF203  (each one is told)
            complain(str(error))
            found.append(error)
    return found


def _route(config: LLMConfig, model: str | None) -> Route:
    try:
        return route(config, model)
    except InvalidRequestError as error:  # no model named, and none is obvious
        raise UsageError(f"{error.message}: name one with -m. {error.guidance}") from None


def _request(args: argparse.Namespace, prompt: str, place: Route) -> ModelRequest:
    return ModelRequest(
        prompt,
        f"{place.provider}/{place.model}",
        system_prompt=args.system,
        temperature=args.temperature,
        top_p=args.top_p,
        max_tokens=args.max_tokens,
        stop_sequences=args.stop,
        seed=args.seed,
    )


def _ask(
    client: LLMClient, args: argparse.Namespace, routes: list[Route], requests: list[ModelRequest], output: Output
) -> list[Outcome]:
    """Send all, print each answer as soon as those before it are printed.

    After Ctrl-C the answers that still come in time are printed too, on standard output: they are paid for.
    """
    futures: list[Future[ModelResponse]] = []
    outcomes: list[Outcome] = []
    try:
        futures.extend(  # one by one: whatever interrupts, those sent are known
            client.submit(request, timeout=args.timeout, deadline=args.deadline, max_retries=args.max_retries)
            for request in requests
        )
        for index, (place, future) in enumerate(zip(routes, futures, strict=True)):
            outcomes.append(_outcome(place, future))
            _show(output, args, index, place, outcomes[-1])
    except KeyboardInterrupt:
        output.discard()  # the file stays as it was
        drain(client)
        with opened(None) as standard:
            for index in range(len(outcomes), len(futures)):
                outcome = _outcome(routes[index], futures[index])
                if isinstance(outcome, ModelResponse):
                    _show(standard, args, index, routes[index], outcome)
        raise
    return outcomes


def _outcome(place: Route, future: Future[ModelResponse]) -> Outcome:
    """Wait for one answer; the answer, or the error that came instead."""
    answer, error = waiting.outcome(future)
    if error is None:
        return answer  # type: ignore[no-any-return]
    if isinstance(error, LLMConnectorError):
        return error
    _log.debug("%s/%s: unexpected error", place.provider, place.model, exc_info=error)
    return LLMConnectorError(
        f"an unexpected {type(error).__name__}: {error}",
        provider=place.provider,
        model=place.model,
        guidance="This is a mistake in llm-sync or in an added dialect; 'llm-sync -vv' shows where.",
    )


def _show(output: Output, args: argparse.Namespace, index: int, place: Route, outcome: Outcome) -> None:
    """Print one outcome in its place."""
    if args.json:
        line = json.dumps(record(index, place, outcome), ensure_ascii=False)
        output.write(line)
        if isinstance(outcome, LLMConnectorError):
            tell(line)
        return
    if len(args.model) > 1 and output.terminal:
        output.write(f"{'' if index == 0 else chr(10)}== {place.provider}/{place.model} ==")
    if isinstance(outcome, ModelResponse):
        output.write("\n".join([*([outcome.text] if outcome.text else []), *_calls(outcome)]))
    else:
        complain(str(outcome))


def _calls(response: ModelResponse) -> list[str]:
    """The tools an answer calls, one JSON object each."""
    return [
        json.dumps(
            {"tool_call": call.name, "arguments": call.raw_arguments if call.arguments is None else call.arguments},
            ensure_ascii=False,
        )
        for call in response.tool_calls
    ]
