"""A tool is called."""

import json

from litellm import completion

parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": parameters}}]
messages = [{"role": "user", "content": "How is the weather in Rome?"}]
for model in ("openai/gpt-4o", "anthropic/claude-haiku-4-5"):
    response = completion(model=model, messages=messages, tools=tools, tool_choice="required", max_tokens=300)
    call = response.choices[0].message.tool_calls[0]
    print(response.choices[0].finish_reason, call.type, call.function.name, json.loads(call.function.arguments))
