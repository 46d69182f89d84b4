"""Settings on the module and in the call."""

import os

import openai

openai.api_key = os.environ["OPENAI_API_KEY"]
openai.api_base = os.environ["OPENAI_API_BASE"]
completion = openai.ChatCompletion.create(
    model="gpt-4",
    messages=[{"role": "system", "content": "You are a poet."}, {"role": "user", "content": "What is the sea?"}],
    temperature=0,
    max_tokens=200,
    stop="END",
    user="ada",
    request_timeout=30,
)
print(completion.choices[0].message["content"], completion.choices[0].message["role"])
del os.environ["OPENAI_API_KEY"]
openai.api_key = None
try:
    openai.ChatCompletion.create(model="gpt-4", messages=[{"role": "user", "content": "Say hello"}])
except openai.error.AuthenticationError as error:
    print(type(error).__name__, error.http_status)
print(
    openai.ChatCompletion.create(model="gpt-4", messages=[{"role": "user", "content": "Hi"}], api_key="sk-other-0123456789")
    .choices[0]
    .index
)
