"""``llm-sync generate``: one question to one or several models."""

from __future__ import annotations

import argparse
import json
import logging
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING

from llm_sync.cli import exit_codes, request_fields
from llm_sync.cli.client_access import connected, drain
from llm_sync.cli.console import progress, streams
from llm_sync.cli.console.error_report import as_typed, report
from llm_sync.cli.console.output import Output, opened, standard
from llm_sync.cli.console.streams import BOLD, complain, tell
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.config import LLMConfig
from llm_sync.config.routing import route
from llm_sync.dispatch import wait
from llm_sync.errors import ClientClosedError, InvalidRequestError, LLMConnectorError, TruncatedResponseError
from llm_sync.models import ModelRequest, ModelResponse
from llm_sync.models.record import record
from llm_sync.models.route import Route

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient

_log = logging.getLogger("llm_sync.cli")

Outcome = ModelResponse | LLMConnectorError


def run(args: argparse.Namespace) -> int:
    """Ask, print the answers in the order of the models, return the exit status."""
    if args.id is not None and not args.json:
        raise UsageError("--id is part of the records that --json prints: add --json")
    question = {**request_fields.question(args), **request_fields.fields(args), "id": args.id}
    with connected(args) as client:
        routes = [_route(client.config, model) for model in args.model or [None]]
        unfit = _unfit(client, routes, args)
        if unfit:
            return exit_codes.status_of(unfit[0])
        requests = [ModelRequest(model=f"{place.provider}/{place.model}", **question) for place in routes]
        with opened(args.output, append=args.append) as output:
            with progress.shown(client):
                outcomes = _Run(client, args, routes, output).ask(requests)
            if not args.json and not any(isinstance(outcome, ModelResponse) for outcome in outcomes):
                output.discard()
    return exit_codes.status_of_all([outcome for outcome in outcomes if not isinstance(outcome, _Unsent)])


class _Unsent(ClientClosedError):
    """Another request had failed before this one was sent."""


def _unfit(client: LLMClient, routes: list[Route], args: argparse.Namespace) -> list[LLMConnectorError]:
    """What keeps any of the providers from being used, all of it told: nothing is paid for while something is missing."""
    found = []
    for provider in dict.fromkeys(place.provider for place in routes):
        try:
            client.check_providers([provider])
        except LLMConnectorError as error:  # noqa: PERF203  (each one is told)
            report(error, as_record=args.json, request_id=args.id)
            found.append(error)
    return found


def _route(config: LLMConfig, model: str | None) -> Route:
    try:
        return route(config, model)
    except InvalidRequestError as error:  # no model named, and none is obvious
        raise UsageError(f"{error.message}: name one with -m. {error.guidance}") from None


class _Run:
    """The requests of one command, from the first sent to the last printed."""

    def __init__(self, client: LLMClient, args: argparse.Namespace, routes: list[Route], output: Output) -> None:
        self._client = client
        self._args = args
        self._routes = routes
        self._output = output
        self._futures: list[Future[ModelResponse]] = []
        self._outcomes: list[Outcome] = []  # those printed, in the order of the models
        self._done: SimpleQueue[Future[ModelResponse]] = SimpleQueue()
        self._stopped = False  # by --fail-fast
        self._headed = False  # whether a heading is printed
        self._full: streams.Unwritable | None = None  # why --output takes nothing more

    def ask(self, requests: list[ModelRequest]) -> list[Outcome]:
        """Send all, print each answer as soon as those before it are printed.

        After Ctrl-C the answers that still come in time are printed too, on standard output where --output would replace a
        file, and with those that came before: they are paid for. Where that takes nothing, as when the terminal is gone, all of
        them stay in the file that was to replace --output. They are printed too where --output turns out to take nothing more;
        that is raised, as Unwritable, when all are printed.
        """
        try:
            for one in requests:  # one by one: whatever interrupts, those sent are known
                self._futures.append(self._client.submit(one, **request_fields.attempts(self._args)))
                self._futures[-1].add_done_callback(self._ended)
                if self._stopped:
                    self._futures[-1].cancel()
            while len(self._outcomes) < len(self._futures):
                self._done.get()
                if self._stopped:
                    self._client.close(cancel_pending=True)  # what is in flight is waited for, and not tried again
                self._print_those_done()
        except KeyboardInterrupt:
            for future in reversed(self._futures):  # before a word is said of waiting: no worker takes one more meanwhile
                future.cancel()
            self._print_answers()
            aside = self._rescue()
            drain(self._client)
            self._print_answers()
            if aside is not None and any(isinstance(outcome, ModelResponse) for outcome in self._outcomes):
                complain(f"the answers are in {aside!r}")
            elif aside is not None:
                self._output.discard()
            raise
        if self._full is not None:
            raise self._full
        return self._outcomes

    def _ended(self, future: Future[ModelResponse]) -> None:
        """On the worker, before it takes the next request."""
        if self._args.fail_fast and not future.cancelled() and future.exception() is not None:
            self._stopped = True
            for other in list(self._futures):
                other.cancel()
        self._done.put(future)

    def _print_those_done(self) -> None:
        for index in range(len(self._outcomes), len(self._futures)):
            if not self._futures[index].done():
                return
            self._outcomes.append(self._outcome(index))
            with streams.manner.beside():  # heading and answer at once
                self._print(index)

    def _print_answers(self) -> None:
        """After an interrupt: what is not answered is of no interest."""
        for index in range(len(self._outcomes), len(self._futures)):
            if not self._futures[index].done():
                return
            self._outcomes.append(self._outcome(index))
            if isinstance(self._outcomes[-1], ModelResponse):
                with streams.manner.beside():
                    self._print(index)

    def _print(self, index: int) -> None:
        """Print one in its place; on standard output, with those that are lost with it, when --output does not take it."""
        try:
            self._show(index, self._outcomes[index])
        except streams.Unwritable as error:
            if self._output.is_stdout:
                raise
            self._full = streams.Unwritable(error.name, error.error, "what it does not take is on standard output")
            self._move(self._output.rescued(), index)
            self._output = standard()
            self._show(index, self._outcomes[index])

    def _rescue(self) -> str | None:
        """Go on where the answers of an interrupted run are seen, or in the file beside --output, whose path this gives."""
        former, headed = self._output, self._headed
        try:
            self._move(former.rescued())
        except streams.Unwritable as error:
            self._output, self._headed = former, headed
            streams.lost(error.error, error.name)
            return former.put_aside()
        return None

    def _move(self, output: Output, until: int | None = None) -> None:
        """Go on with another output, where it is another: with the answers that are lost with the former one."""
        former, self._output = self._output, output
        if output is former:
            return
        self._headed = False
        for index, outcome in enumerate(self._outcomes[:until]):
            if isinstance(outcome, ModelResponse):
                self._show(index, outcome)
        former.discard()

    def _outcome(self, index: int) -> Outcome:
        """Wait for one answer; the answer, or the error that came instead."""
        place, future = self._routes[index], self._futures[index]
        answer, error = wait.outcome(future)
        if error is None:
            return self._whole(answer)
        if future.cancelled() and self._args.fail_fast:
            message = "it was not sent, as another request had failed (--fail-fast)"
            return _Unsent(message, provider=place.provider, model=place.model)
        if isinstance(error, LLMConnectorError):
            return as_typed(error, self._args.config)
        _log.debug("%s/%s: unexpected error", place.provider, place.model, exc_info=error)
        return LLMConnectorError(
            f"an unexpected {type(error).__name__}: {error}",
            provider=place.provider,
            model=place.model,
            guidance="This is a bug in llm-sync or in an added dialect; 'llm-sync -vv' shows where.",
        )

    def _whole(self, answer: ModelResponse) -> Outcome:
        """A cut answer is text all the same, but no object of the schema that was asked for."""
        if self._args.schema is None or not answer.truncated or "parsed" in answer.metadata:
            return answer
        return TruncatedResponseError(
            "the answer was cut before its JSON was complete",
            provider=answer.provider,
            model=answer.model,
            request_id=answer.request_id,
            retryable=False,
            attempts=answer.attempts,
            response=answer,
            guidance="Raise --max-tokens.",
        )

    def _show(self, index: int, outcome: Outcome) -> None:
        """Print one outcome in its place."""
        place = self._routes[index]
        if self._args.json:
            line = json.dumps(record(index, place, outcome, request_id=self._args.id), ensure_ascii=False)
            self._output.write(line)
            if isinstance(outcome, LLMConnectorError):
                tell(line)
            return
        parsed, terminal = self._args.schema is not None, self._output.terminal
        answered = isinstance(outcome, ModelResponse)
        heading: list[str | tuple[str, str]] = []
        # Objects in a pipe are for a program; an error that is not on the terminal names the model itself.
        if len(self._routes) > 1 and (terminal or (answered and not parsed)):
            heading = ["\n" if self._headed else "", (f"== {place.provider}/{place.model} ==", BOLD), "\n"]
            self._headed = True
        if isinstance(outcome, ModelResponse):  # at once with its heading: others may append to the same file
            self._output.write(*heading, _words(outcome, parsed=parsed, indent=2 if terminal else None))
            return
        if heading:
            self._output.write(*heading)
        complain(str(outcome))


def _words(response: ModelResponse, *, parsed: bool, indent: int | None) -> str:
    """An answer as it is printed: the object it is, where one was asked for, else its text and the tools it calls."""
    if parsed and "parsed" in response.metadata:
        return json.dumps(response.metadata["parsed"], ensure_ascii=False, indent=indent)
    return "\n".join([*([response.text] if response.text else []), *_calls(response)])


def _calls(response: ModelResponse) -> list[str]:
    """The tools an answer calls, one JSON object each."""
    return [
        json.dumps(
            {"tool_call": call.name, "arguments": call.raw_arguments if call.arguments is None else call.arguments},
            ensure_ascii=False,
        )
        for call in response.tool_calls
    ]
