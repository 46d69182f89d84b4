"""A tool is called, and its result handed back."""

from anthropic import Anthropic
from anthropic.types import ToolUseBlock

client = Anthropic()
schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"name": "weather", "description": "The weather", "input_schema": schema}]
messages = [{"role": "user", "content": "How is the weather in Rome?"}]
choice = {"type": "tool", "name": "weather"}
first = client.messages.create(model="claude-haiku-4-5", max_tokens=300, messages=messages, tools=tools, tool_choice=choice)
(call,) = [block for block in first.content if block.type == "tool_use"]
print(first.stop_reason, call.name, call.input, type(call.input).__name__, isinstance(call, ToolUseBlock))
messages += [
    {"role": "assistant", "content": first.content},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]},
]
second = client.messages.create(model="claude-haiku-4-5", max_tokens=300, messages=messages, tools=tools)
print(second.stop_reason, len(second.content[0].text) > 0)
