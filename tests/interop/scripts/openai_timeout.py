"""A timeout, by client and by call; no connection."""

import openai

client = openai.OpenAI(max_retries=0, timeout=0.5)
hello = [{"role": "user", "content": "Say hello"}]
for ask in (
    lambda: client.chat.completions.create(model="slow", messages=hello),
    lambda: client.with_options(timeout=60).chat.completions.create(model="slow", messages=hello, timeout=0.5),
    lambda: client.with_options(base_url="http://127.0.0.1:9/v1").chat.completions.create(model="gpt-4o", messages=hello),
):
    try:
        ask()
    except openai.APIConnectionError as error:
        print(type(error).__name__, error.message, error.body, error.code, isinstance(error, openai.APITimeoutError))
