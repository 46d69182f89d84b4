"""The requests of one ``generate`` command, from the first sent to the last printed, interrupts and full disks included."""

from __future__ import annotations

import argparse
import json
import logging
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING

from llm_sync.cli import request_fields
from llm_sync.cli.client_access import drain
from llm_sync.cli.console.answer_text import answer_text
from llm_sync.cli.console.error_report import with_config_option
from llm_sync.cli.console.messages import print_error, write_stderr
from llm_sync.cli.console.output import Output, stdout_output
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.console.stdout import Unwritable, report_unwritable
from llm_sync.cli.console.terminal import BOLD
from llm_sync.dispatch import wait
from llm_sync.errors import ClientClosedError, InvalidRequestError, LLMConnectorError
from llm_sync.models import ModelRequest, ModelResponse
from llm_sync.models.record import record
from llm_sync.models.route import Route

if TYPE_CHECKING:
    from llm_sync.cli.generate_history import GenerateHistory
    from llm_sync.client.client import LLMClient

_log = logging.getLogger("llm_sync.cli")

Outcome = ModelResponse | LLMConnectorError


class UnsentError(ClientClosedError):
    """Another request failed before this one was sent (--fail-fast)."""


class GenerateRun:
    """Sends the requests of one command and prints each outcome in its place."""

    def __init__(
        self,
        client: LLMClient,
        args: argparse.Namespace,
        routes: list[Route],
        output: Output,
        names: list[str],
        history: GenerateHistory | None = None,
    ) -> None:
        self._client = client
        self._args = args
        self._routes = routes  # the first model of each request
        self._names = names  # the same in one text, or the route's name
        self._output = output
        self._history = history  # that keeps the answers
        self._futures: list[Future[ModelResponse]] = []
        self._printed: list[Outcome] = []  # in the order of the models
        self._done: SimpleQueue[Future[ModelResponse]] = SimpleQueue()
        self._stopped = False  # by --fail-fast
        self._heading_printed = False
        self._output_failure: Unwritable | None = None  # why --output takes nothing more

    def run(self, requests: list[ModelRequest]) -> list[Outcome]:
        """Send all requests, print each outcome as soon as those before it are printed, return them in order.

        Answers that arrive in time after Ctrl-C are printed too, as they are paid for. If ``--output`` was to replace a file,
        they are printed on standard output, together with those before them; if that cannot be written, because the terminal
        was closed, all stay in the temporary file of ``--output``. Standard output also takes the answers if ``--output``
        cannot be written; that is raised, as Unwritable, when all are printed.
        """
        try:
            for request in requests:  # one by one, so that an interrupt finds those sent in self._futures
                self._futures.append(self._submit(request))
                self._futures[-1].add_done_callback(self._on_done)
                if self._stopped:
                    self._futures[-1].cancel()
            while len(self._printed) < len(self._futures):
                self._done.get()
                if self._stopped:
                    self._client.close(cancel_pending=True)  # waits for requests in flight, without retries
                self._print_done()
        except KeyboardInterrupt:
            self._finish_interrupted()
            raise
        if self._output_failure is not None:
            raise self._output_failure
        return self._printed

    def _submit(self, request: ModelRequest) -> Future[ModelResponse]:
        """Queue a request. One that cannot be sent as it is fails in its place: others may be under way and paid for."""
        try:
            return self._client.submit(request, via=self._args.via, **request_fields.attempt_options(self._args))
        except InvalidRequestError as error:
            return wait.failed_future(error)

    def _on_done(self, future: Future[ModelResponse]) -> None:
        """Called on the worker, before it takes the next request."""
        if self._args.fail_fast and not future.cancelled() and future.exception() is not None:
            self._stopped = True
            for other in list(self._futures):
                other.cancel()
        self._done.put(future)

    def _finish_interrupted(self) -> None:
        """Cancel what is queued, wait for what is in flight, print the answers."""
        for future in reversed(self._futures):  # before anything is printed, so that no worker takes another one meanwhile
            future.cancel()
        self._print_done(answers_only=True)
        path = self._leave_output_file()
        drain(self._client)
        self._print_done(answers_only=True)
        if path is not None and any(isinstance(outcome, ModelResponse) for outcome in self._printed):
            print_error(f"the answers are in {path!r}")
        elif path is not None:
            self._output.discard()

    def _print_done(self, *, answers_only: bool = False) -> None:
        """Print the outcomes up to the first request that is not done; ``answers_only``: errors of an interrupt say nothing."""
        for index in range(len(self._printed), len(self._futures)):
            if not self._futures[index].done():
                return
            self._printed.append(self._outcome(index))
            if self._history is not None:
                self._history.keep(index, self._printed[-1])  # before it is printed: standard output may be closed
            if not answers_only or isinstance(self._printed[-1], ModelResponse):
                with settings.pause_progress():  # heading and answer together
                    self._print(index)

    def _print(self, index: int) -> None:
        """Print one outcome; on standard output, after those that are lost with it, if --output cannot be written."""
        try:
            self._write(index, self._printed[index])
        except Unwritable as error:
            if self._output.is_stdout:
                raise
            self._output_failure = Unwritable(error.name, error.error, "the answers it lacks are on standard output")
            self._switch_output(self._output.after_interrupt(), index)
            self._output = stdout_output()
            self._write(index, self._printed[index])

    def _leave_output_file(self) -> str | None:
        """After an interrupt, print on standard output what --output would replace a file with.

        If that is impossible, keep the temporary file of --output and return its path.
        """
        former, heading_printed = self._output, self._heading_printed
        try:
            self._switch_output(former.after_interrupt())
        except Unwritable as error:
            self._output, self._heading_printed = former, heading_printed
            report_unwritable(error.error, error.name)
            return former.keep_aside()
        return None

    def _switch_output(self, output: Output, until: int | None = None) -> None:
        """Write to another output from now on, beginning with the answers that are lost with the former one."""
        former, self._output = self._output, output
        if output is former:
            return
        self._heading_printed = False
        for index, outcome in enumerate(self._printed[:until]):
            if isinstance(outcome, ModelResponse):
                self._write(index, outcome)
        former.discard()

    def _outcome(self, index: int) -> Outcome:
        """The answer of a request that is done, or its error."""
        route, future = self._routes[index], self._futures[index]
        answer, error = wait.outcome(future)
        if error is None:
            return answer  # type: ignore[no-any-return]
        if future.cancelled() and self._args.fail_fast:
            message = "it was not sent, because another request failed (--fail-fast)"
            return UnsentError(message, provider=route.provider, model=route.model)
        if isinstance(error, LLMConnectorError):
            return with_config_option(error, self._args.config)
        _log.debug("%s/%s: unexpected error", route.provider, route.model, exc_info=error)
        return LLMConnectorError(
            f"an unexpected {type(error).__name__}: {error}",
            provider=route.provider,
            model=route.model,
            guidance="This is a bug in llm-sync or in an added dialect; 'llm-sync -vv' shows the traceback.",
        )

    def _write(self, index: int, outcome: Outcome) -> None:
        """Write one outcome."""
        if self._args.json:
            document = record(index, self._routes[index], outcome, request_id=self._args.id)
            if self._history is not None:
                document["conversation"] = self._history.name_of(index)
            line = json.dumps(document, ensure_ascii=False)
            self._output.write(line)
            if isinstance(outcome, LLMConnectorError):
                write_stderr(line)
            return
        heading = self._heading(index, answered=isinstance(outcome, ModelResponse))
        if isinstance(outcome, ModelResponse):  # in one write with its heading: others may append to the same file
            indent = 2 if self._output.terminal else None
            self._output.write(*heading, answer_text(outcome, parsed=self._args.schema is not None, indent=indent))
            return
        if heading:
            self._output.write(*heading)
        print_error(str(outcome))

    def _heading(self, index: int, *, answered: bool) -> list[str | tuple[str, str]]:
        """The heading of one outcome among several; none for objects in a pipe, nor for an error that no terminal shows."""
        terminal = self._output.terminal
        if len(self._routes) < 2 or not (terminal or (answered and self._args.schema is None)):
            return []
        outcome, name, separator = self._printed[index], self._names[index], "\n" if self._heading_printed else ""
        if outcome.route:
            name = f"{name}: {outcome.route[-1].provider}/{outcome.route[-1].model}"
        self._heading_printed = True
        return [separator, (f"== {name} ==", BOLD), "\n"]
