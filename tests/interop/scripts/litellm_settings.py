"""Settings on the module and in the call, tools to another provider, several choices"""

import os

import litellm
import openai

litellm.drop_params, litellm.set_verbose, litellm.suppress_debug_info = True, False, True
hello = [{"role": "user", "content": "Say hello"}]
answer = litellm.completion(
    model="anthropic/claude-haiku-4-5", messages=hello, frequency_penalty=1, user="ada", temperature=0, max_tokens=100
)
print(answer.choices[0].finish_reason, answer["choices"][0]["message"]["role"], answer.usage.total_tokens > 0)
key, base = os.environ["OPENAI_API_KEY"], os.environ["OPENAI_BASE_URL"]
answer = litellm.completion("gpt-4o", hello, n=2, num_retries=1, api_key=key, api_base=base, metadata={"a": 1}, caching=False)
print([choice.index for choice in answer.choices], type(answer).__name__, sorted(answer.model_dump()))
try:
    litellm.completion(model="openai/status-429", messages=hello, num_retries=0, max_retries=0)
except openai.RateLimitError as error:
    print(type(error).__name__, error.status_code, isinstance(error, openai.APIStatusError), error.response.status_code)
parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": parameters}}]
first = litellm.completion(model="anthropic/claude-haiku-4-5", messages=hello, tools=tools, tool_choice="required")
call = first.choices[0].message.tool_calls[0]
result = {"role": "tool", "tool_call_id": call.id, "name": "weather", "content": "sunny"}
for turn in (first.choices[0].message, first.choices[0].message.model_dump()):
    messages = [*hello, turn, result]
    print(litellm.completion(model="anthropic/claude-haiku-4-5", messages=messages, tools=tools).choices[0].message.role)
