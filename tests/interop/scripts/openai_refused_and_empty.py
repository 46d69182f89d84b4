"""A refusal, a filtered answer and an empty one."""

from openai import OpenAI

for model in ("refusing", "filtered", "empty"):
    choice = OpenAI().chat.completions.create(model=model, messages=[{"role": "user", "content": "Say hello"}]).choices[0]
    print(repr(choice.message.content), choice.message.refusal, choice.finish_reason)
