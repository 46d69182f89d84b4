"""The Responses API: text, instructions, a function's call."""

import json

from openai import OpenAI

client = OpenAI()
response = client.responses.create(model="gpt-4o-mini", instructions="Be brief.", input="Say hello", max_output_tokens=300)
print(response.output_text, response.status, response.object, response.model, response.error, response.incomplete_details)
print(response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens)
print(response.output[0].type, response.output[0].role, response.output[0].content[0].type)
parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
tool = {"type": "function", "name": "weather", "parameters": parameters, "strict": True}
asked = [{"role": "user", "content": "How is the weather in Rome?"}]
response = client.responses.create(model="gpt-4o", input=asked, tools=[tool], tool_choice="required")
call = response.output[0]
print(call.type, call.name, json.loads(call.arguments), response.output_text == "")
