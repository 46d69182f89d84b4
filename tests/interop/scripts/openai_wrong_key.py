"""401, and no key at all."""

import os

import openai

try:
    openai.OpenAI(api_key="sk-wrong-0123456789", max_retries=0).models.list()
except openai.AuthenticationError as error:
    print(type(error).__name__, error.status_code, error.code, error.type)
del os.environ["OPENAI_API_KEY"]
try:
    openai.OpenAI()
except openai.OpenAIError as error:
    print(type(error).__name__)
