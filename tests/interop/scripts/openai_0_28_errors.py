"""Statuses as the exceptions of 2023."""

import openai

for model in ("status-400", "status-403", "status-404", "status-422", "status-429", "status-500", "status-503"):
    try:
        openai.ChatCompletion.create(model=model, messages=[{"role": "user", "content": "Say hello"}])
    except openai.error.OpenAIError as error:
        told = (error.user_message, str(error)) if not isinstance(error, openai.error.APIError) else ()
        print(type(error).__name__, error.http_status, error.code, *told)
        if error.http_status != 503:
            print(error.json_body, error.error.message)
try:
    openai.ChatCompletion.create(
        model="gpt-4", messages=[{"role": "user", "content": "Say hello"}], api_key="sk-wrong-0123456789"
    )
except openai.error.AuthenticationError as error:
    print(type(error).__name__, error.http_status, error.code)
try:
    openai.ChatCompletion.create(messages=[{"role": "user", "content": "Say hello"}])
except openai.error.InvalidRequestError as error:
    print(type(error).__name__, error.http_status)
