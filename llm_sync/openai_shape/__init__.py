"""OpenAI's chat completions as bodies, read into our requests and written from our answers, for batches and the compat shims.

Bodies are plain JSON values. What a body asks for is carried, or carried otherwise with an Adjustment that says so, or
refused with an error that names it: nothing is dropped in silence. No state; any thread may call all of it.
``asked`` reads requests, ``messages`` their turns, ``answered`` writes completions and errors.
"""

from llm_sync.openai_shape.request_parser import PARAMETERS, ChatRequest, chat_request, speaks_chat
from llm_sync.openai_shape.response_writer import completion, error_body, error_status

__all__ = ["PARAMETERS", "ChatRequest", "chat_request", "completion", "error_body", "error_status", "speaks_chat"]
