"""A plain question, read by attributes."""

from openai import OpenAI

client = OpenAI()
completion = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Say hello"}])
choice = completion.choices[0]
print(choice.message.content, choice.message.role, choice.finish_reason, choice.index)
print(completion.model, completion.object, completion.id.startswith("chatcmpl-"))
print(completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens)
print(choice.message.tool_calls, choice.message.refusal, choice.logprobs)
