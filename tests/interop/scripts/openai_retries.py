"""The first attempt fails, the second does not."""

from openai import OpenAI

completion = OpenAI(max_retries=1).chat.completions.create(model="flaky", messages=[{"role": "user", "content": "Say hello"}])
print(completion.choices[0].message.content)
