"""The conversations of one ``generate`` command: an earlier one taken up, or new ones begun, and the answers kept in them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_sync.cli import exit_codes
from llm_sync.cli.console.messages import print_error, print_note, print_warning
from llm_sync.cli.console.quantities import count
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.errors import LLMConnectorError
from llm_sync.history import folder as folders
from llm_sync.history.conversation import Content, Conversation
from llm_sync.history.folder import NoConversation
from llm_sync.history.turn import encode, turn_of
from llm_sync.models import Message, ModelRequest, ModelResponse

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient

_FILES = ("prompt", "images", "documents")


@contextmanager
def open_history(client: LLMClient, args: argparse.Namespace) -> Iterator[GenerateHistory]:
    """What keeps the answers of the command. An earlier conversation is this process's alone until the block ends.

    Raises UsageError if there is no such conversation, ConfigurationError if its file cannot be used.
    """
    simulated = any(provider.simulated for provider in client.dispatcher.config.providers.values())
    folder = folders.folder_of_user(simulated=simulated)
    history = GenerateHistory(client, args, folder)
    try:
        if args.goes_on or args.conversation is not None:
            history.take_up()
        yield history
    finally:
        history.close()


class GenerateHistory:
    """``model``: the one that the earlier conversation asked last; None for new ones."""

    def __init__(self, client: LLMClient, args: argparse.Namespace, folder: str) -> None:
        self.model: str | None = None
        self._client = client
        self._args = args
        self._folder = folder
        self._conversations: list[Conversation] = []  # one for each request
        self._earlier: tuple[Message, ...] = ()
        self._system_prompt: str | None = None
        self._requests: list[ModelRequest] = []
        self._failed = False

    def take_up(self) -> None:
        """Read an earlier conversation, as soon as no other process is asking in it."""
        if self._args.messages is not None:
            raise UsageError("-c and --conversation go on by a prompt: leave --messages out")
        if len(self._args.model) > 1:
            raise UsageError("a conversation goes on with one model: give -m once, or not at all")
        try:
            wanted = self._args.conversation
            name = folders.last(self._folder) if wanted is None else folders.find(self._folder, wanted)
            conversation = Conversation.take(self._folder, name, self._say_wait)
        except NoConversation as error:
            raise UsageError(f"{error}: 'llm-sync history list' shows them, and --history begins one") from None
        self._conversations.append(conversation)
        self._read(conversation.content(), name)

    def _read(self, content: Content, name: str) -> None:
        if not content.turns:
            raise UsageError(f"the conversation {name} holds no turn that can be read")
        if content.damaged:
            print_warning(f"the conversation {name} has {count(content.damaged, 'damaged line')}, left out")
        last = content.turns[-1]
        self.model, self._system_prompt = last.model, last.system_prompt
        self._earlier = tuple(message for turn in content.turns for message in (*turn.asked, turn.answer))

    def _say_wait(self) -> None:
        print_note("waiting for another llm-sync, which is asking in this conversation")

    def with_earlier_turns(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of the request, with the earlier turns before the prompt, and the earlier system prompt unless a new one is
        given."""
        self._system_prompt = fields.get("system_prompt", self._system_prompt)
        if not self._earlier:
            return fields
        new = ModelRequest(**{name: value for name, value in fields.items() if name in _FILES}).conversation()
        rest = {name: value for name, value in fields.items() if name not in _FILES}
        return {**rest, "messages": (*self._earlier, *new), "system_prompt": self._system_prompt}

    def begin(self, requests: Sequence[ModelRequest]) -> GenerateHistory:
        """Make room for the answers, before anything is sent. Raises ConfigurationError if they could not be written."""
        self._requests = list(requests)
        while len(self._conversations) < len(requests):
            self._conversations.append(Conversation.create(self._folder))
        return self

    def name_of(self, index: int) -> str:
        """The name of the conversation that a request belongs to."""
        return self._conversations[index].name

    def keep(self, index: int, outcome: ModelResponse | LLMConnectorError) -> None:
        """Add an answer to its conversation; errors are not kept. Never raises for a file that cannot be written."""
        if not isinstance(outcome, ModelResponse):
            return
        request = self._requests[index]
        asked = [_with_files(message) for message in request.conversation()[len(self._earlier) :]]
        line = encode(turn_of(asked, outcome, str(request.model), self._system_prompt))
        for provider in dict.fromkeys([outcome.provider, *(step.provider for step in outcome.route)]):
            line = self._client.dispatcher.redact(provider, line)
        try:
            self._conversations[index].append(line)
        except OSError as error:
            self._failed = True
            print_error(f"the answer is not in the conversation {self.name_of(index)}: {error.strerror or error}")

    def status(self, status: int) -> int:
        """The exit status of the command, which is an error if an answer could not be kept."""
        return exit_codes.UNEXPECTED if self._failed and status == exit_codes.ANSWERED else status

    def close(self) -> None:
        """Let others have the conversations."""
        for conversation in self._conversations:
            conversation.close()


def _with_files(message: Message) -> Message:
    """The message with its files read, as a path would mean nothing later."""
    if message.parts:
        return message.with_parts(part.loaded() for part in message.parts)
    if not message.images:
        return message
    from llm_sync.models.images import load_image

    return replace(message, images=tuple(load_image(image) for image in message.images))
