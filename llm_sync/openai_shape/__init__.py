"""Converts between OpenAI's bodies and our requests and responses, for batches and the compat shims.

Bodies are plain JSON values. Each field of a body is sent, or changed with an Adjustment that says so, or rejected with an
error that names it: nothing is dropped silently. There is no state; any thread may call all functions.
``request_parser`` reads requests, ``messages`` their turns, ``conversation`` messages of a file in OpenAI's form or ours,
``response_writer`` writes completions and errors. The modules named ``responses_…`` do the same for the Responses API.
"""

from llm_sync.openai_shape.conversation import read_conversation
from llm_sync.openai_shape.request_parser import PARAMETERS, ChatRequest, chat_request, speaks_chat
from llm_sync.openai_shape.response_writer import completion, error_body, error_status
from llm_sync.openai_shape.responses_request import ResponsesRequest, check_parameters, responses_request, speaks_responses
from llm_sync.openai_shape.responses_writer import responses_body

__all__ = [
    "PARAMETERS",
    "ChatRequest",
    "ResponsesRequest",
    "chat_request",
    "check_parameters",
    "completion",
    "error_body",
    "error_status",
    "read_conversation",
    "responses_body",
    "responses_request",
    "speaks_chat",
    "speaks_responses",
]
