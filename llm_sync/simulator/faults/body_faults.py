"""Actions that turn the body of a normal answer into a faulty one, in the dialect's own form."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.simulator.faults.actions import ONLY_TRUE, ResponseAction, Schema, true_or
from llm_sync.simulator.faults.body_layout import BodyLayout, join_frames
from llm_sync.simulator.faults.body_layout_anthropic import AnthropicLayout
from llm_sync.simulator.faults.body_layout_bedrock import BedrockLayout
from llm_sync.simulator.faults.body_layout_gemini import GeminiLayout
from llm_sync.simulator.faults.body_layout_interactions import InteractionsLayout
from llm_sync.simulator.faults.body_layout_openai import ChatLayout, OpenRouterLayout, ResponsesLayout
from llm_sync.simulator.faults.context import RequestContext
from llm_sync.simulator.faults.error_table import ERROR_KINDS
from llm_sync.simulator.server.response import Response, with_headers

BODY_LAYOUTS: Mapping[str, BodyLayout] = {
    "openai": ChatLayout(),
    "openai-responses": ResponsesLayout(),
    "anthropic": AnthropicLayout(),
    "gemini": GeminiLayout(),
    "openrouter": OpenRouterLayout(),
    "gemini-interactions": InteractionsLayout(),
    "bedrock": BedrockLayout(),
}
_BLOCK_REASONS = {"anthropic": "general_harms", "gemini": "SAFETY"}


class BodyFault(ResponseAction):
    """Changes the body of a normal answer; error responses of the dialect stay unchanged."""

    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "line")

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """The response with the changed body, billed for its new content."""
        response = context.normal_response() if previous is None else previous
        body = json.loads(response.content()) if response.status == 200 else None
        if not isinstance(body, dict) or body.get("error"):
            return response
        output = self.change_body(BODY_LAYOUTS[context.type_name], body, context)
        tokens = response.tokens if output is None or response.tokens is None else (response.tokens[0], output)
        return response._replace(body=body, tokens=tokens)

    @abstractmethod
    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> int | None:
        """Changes the body in place; returns its output tokens, None if they are unchanged."""


class Truncated(BodyFault):
    """The answer is cut by the token limit."""

    name = "truncated"
    schema: ClassVar[Schema] = {"type": "integer", "min": 0, "meta": {"expected": "the number of tokens left, 0 or more"}}

    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> int:
        """Cuts every choice of the answer."""
        return layout.truncate(body, self.setting)


class Empty(BodyFault):
    """The answer is empty."""

    name = "empty"
    schema = ONLY_TRUE
    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "models", "line")

    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> int | None:
        """Removes the text, or the models of a listing."""
        if context.request_kind == "models":
            body.update({layout.listing_key: []})
            return None
        return layout.make_empty(body)


class Refusal(BodyFault):
    """The model refuses."""

    name = "refusal"
    schema: ClassVar[Schema] = true_or("string", "the words of the refusal", empty=False)

    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> int:
        """Uses the text in the script, or a usual one."""
        return layout.make_refusal(body, "I cannot help with that." if self.setting is True else self.setting)


class SafetyBlock(BodyFault):
    """A safety filter removes the answer."""

    name = "safety_block"
    schema: ClassVar[Schema] = true_or("string", "the provider's word for the reason", empty=False)

    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> int:
        """Uses the reason in the script, or a usual one of the dialect."""
        return layout.make_blocked(body, _BLOCK_REASONS.get(context.type_name, "") if self.setting is True else self.setting)


class ErrorIn200(BodyFault):
    """An error in a response with status 200."""

    name = "error_in_200"
    schema: ClassVar[Schema] = true_or(
        "string", "an error (overloaded), one of " + ", ".join(ERROR_KINDS), allowed=list(ERROR_KINDS)
    )
    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "models", "line")

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """An error is not billed."""
        return super().apply(context, previous)._replace(tokens=None)

    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> None:
        """Uses the kind of error in the script, or ``overloaded``."""
        layout.make_error(body, "overloaded" if self.setting is True else self.setting)


class WrongType(BodyFault):
    """Valid JSON with values of a wrong type."""

    name = "wrong_type"
    schema: ClassVar[Schema] = true_or("dict", "a mapping of paths, as choices[0].message.content, to values", empty=False)
    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "models", "line")

    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> None:
        """If a path does not exist in this answer, its first key is replaced, so that the answer is wrong in any case."""
        default = layout.wrong_listing_types if context.request_kind == "models" else layout.wrong_types
        for path, value in (default if self.setting is True else self.setting).items():
            steps = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", path)]
            node: Any = body
            try:
                for step in steps[:-1]:
                    node = node[step]
                node[steps[-1]] = value
            except (KeyError, IndexError, TypeError):
                body[str(steps[0])] = value


class EventStream(BodyFault):
    """An event stream, although the request did not ask for one."""

    name = "event_stream"
    schema: ClassVar[Schema] = true_or("string", "sse or ndjson", allowed=["sse", "ndjson"])
    request_kinds: ClassVar[tuple[str, ...]] = ("generate", "models")

    def apply(self, context: RequestContext, previous: Response | None) -> Response:
        """Sends the answer as server-sent events of the dialect, or as JSON Lines like Ollama's."""
        response = super().apply(context, previous)
        if response.status != 200 or not isinstance(response.body, dict):
            return response
        layout = BODY_LAYOUTS[context.type_name]
        frames = list(
            layout.stream_frames(response.body)
            if context.request_kind == "generate"
            else BodyLayout.stream_frames(layout, response.body)
        )
        if self.setting == "ndjson":
            frames = [json.dumps({"message": {"content": ""}, "done": False}) + "\n", json.dumps(response.body) + "\n"]
        kind = "application/x-ndjson" if self.setting == "ndjson" else "text/event-stream; charset=utf-8"
        return response._replace(body=join_frames(frames), headers=with_headers(response.headers, {"content-type": kind}))

    def change_body(self, layout: BodyLayout, body: dict[str, Any], context: RequestContext) -> None:
        """Does nothing: only the framing changes."""
