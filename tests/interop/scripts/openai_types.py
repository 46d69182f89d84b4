"""Types by name, answers made by hand, dict(), pairs, versions"""

import importlib.metadata

import openai
from openai.types import CompletionUsage
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionMessageParam,
    ChatCompletionUserMessageParam,
)
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_message_tool_call import ChatCompletionMessageToolCall, Function
from openai.types.completion_usage import CompletionUsage as SameUsage
from openai.types.shared_params import FunctionDefinition


def hinted(message: ChatCompletionMessageParam, tool: FunctionDefinition) -> openai.Stream[ChatCompletionChunk]:
    """Only to be hinted."""


message = ChatCompletionMessage(role="assistant", content="hello")
usage = CompletionUsage(completion_tokens=1, prompt_tokens=1, total_tokens=2)
made = ChatCompletion(
    id="1",
    choices=[Choice(finish_reason="stop", index=0, message=message)],
    created=1,
    model="m",
    object="chat.completion",
    usage=usage,
)
print(
    made.choices[0].message.content,
    made.usage.total_tokens,
    sorted(message.model_dump(exclude_none=True)),
    usage == SameUsage(**usage.to_dict()),
)
print(ChatCompletionUserMessageParam(role="user", content="x"), Function(name="f", arguments="{}").name)
print(ChatCompletionMessageToolCall is not None)
again = ChatCompletion.model_validate(made.model_dump())
print(again.choices[0].message.content, ChatCompletion.model_validate_json(made.model_dump_json()).usage.total_tokens)
answer = openai.OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Say hello"}])
print(sorted(dict(answer)), sorted(name for name, _ in answer.choices[0]), sorted(answer.model_fields_set))
print(isinstance(answer, ChatCompletion), ChatCompletion.construct(**answer.to_dict()).id == answer.id)
print(importlib.metadata.version("openai") == openai.__version__ == openai.version.VERSION, openai.__version__.split(".")[0])
