"""Converts between OpenAI's chat-completion bodies and our requests and responses, for batches and the compat shims.

Bodies are plain JSON values. Each field of a body is sent, or changed with an Adjustment that says so, or rejected with an
error that names it: nothing is dropped silently. There is no state; any thread may call all functions.
``request_parser`` reads requests, ``messages`` their turns, ``response_writer`` writes completions and errors.
"""

from llm_sync.openai_shape.request_parser import PARAMETERS, ChatRequest, chat_request, speaks_chat
from llm_sync.openai_shape.response_writer import completion, error_body, error_status

__all__ = ["PARAMETERS", "ChatRequest", "chat_request", "completion", "error_body", "error_status", "speaks_chat"]
