"""Statuses as exceptions, with what scripts read of them."""

import openai

client = openai.OpenAI(max_retries=0)
for model in ("status-400", "status-403", "status-404", "status-409", "status-422", "status-429", "status-500", "status-503"):
    try:
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Say hello"}])
    except openai.APIStatusError as error:
        print(type(error).__name__, error.status_code, error.request_id, error.code, error.type, error.param, error.message)
        print(error.body, error.response.status_code, error.response.headers["x-request-id"], isinstance(error, openai.APIError))
