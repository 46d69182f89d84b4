"""A tool is called, and its result handed back."""

import json

from openai import OpenAI

client = OpenAI()
parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": parameters}}]
messages = [{"role": "user", "content": "How is the weather in Rome?"}]
first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools, tool_choice="required")
call = first.choices[0].message.tool_calls[0]
print(first.choices[0].finish_reason, first.choices[0].message.content)
print(call.type, call.function.name, json.loads(call.function.arguments))
messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
second = client.chat.completions.create(model="gpt-4o", messages=messages, tools=tools)
print(second.choices[0].finish_reason, len(second.choices[0].message.content) > 0)
