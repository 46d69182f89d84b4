"""Functions of 2023, several choices, an answer read as a dict"""

import json

import openai

parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
functions = [{"name": "weather", "description": "The weather", "parameters": parameters}]
messages = [{"role": "user", "content": "How is the weather in Rome?"}]
first = openai.ChatCompletion.create(model="gpt-4", messages=messages, functions=functions, function_call={"name": "weather"})
message = first["choices"][0]["message"]
print(
    first["choices"][0]["finish_reason"],
    message.get("function_call")["name"],
    sorted(json.loads(message.function_call.arguments)),
)
messages += [message, {"role": "function", "name": "weather", "content": "sunny"}]
second = openai.ChatCompletion.create(model="gpt-4", messages=messages, functions=functions, n=2, stop=["END"])
print([(choice.index, choice["finish_reason"], "content" in choice.message) for choice in second.choices])
print(sorted(second), sorted(second.keys()), second.get("nothing"), second.usage.total_tokens > 0, second.organization)
openai.api_type, openai.api_version = "azure", None
try:
    openai.ChatCompletion.create(engine="mine", messages=messages)
except openai.error.InvalidRequestError as error:
    print(type(error).__name__)
