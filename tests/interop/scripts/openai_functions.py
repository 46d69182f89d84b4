"""Functions, as tools were called at first, and their results"""

import json

import openai

client = openai.OpenAI()
parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
functions = [{"name": "weather", "description": "The weather", "parameters": parameters}]
messages = [{"role": "user", "content": "How is the weather in Rome?"}]
for choice in ({"name": "weather"}, "auto"):
    first = client.chat.completions.create(model="gpt-4o", messages=messages, functions=functions, function_call=choice)
    called = first.choices[0].message.function_call
    print(first.choices[0].finish_reason, called is None or (called.name, sorted(json.loads(called.arguments))))
    print(first.service_tier, first.choices[0].message.tool_calls, first.choices[0].logprobs)
    if called is not None:
        answer = first.choices[0].message
        result = {"role": "function", "name": "weather", "content": "sunny"}
        second = client.chat.completions.create(model="gpt-4o", messages=[*messages, answer, result], functions=functions)
        print(second.choices[0].finish_reason)
