"""No answer in time."""

import openai

try:
    openai.ChatCompletion.create(model="slow", messages=[{"role": "user", "content": "Say hello"}], request_timeout=0.5)
except openai.error.Timeout as error:
    print(type(error).__name__, error.http_status)
