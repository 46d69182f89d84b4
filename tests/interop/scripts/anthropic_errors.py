"""Statuses as exceptions, a wrong key, a timeout, no connection."""

import anthropic

client = anthropic.Anthropic(max_retries=0)
hello = [{"role": "user", "content": "Say hello"}]
for model in ("status-400", "status-403", "status-404", "status-409", "status-422", "status-429", "status-500", "status-503"):
    try:
        client.messages.create(model=model, max_tokens=5, messages=hello)
    except anthropic.APIStatusError as error:
        print(type(error).__name__, error.status_code, error.request_id, error.body, error.message, error.response.status_code)
try:
    client.with_options(api_key="sk-wrong-0123456789").messages.create(model="claude-haiku-4-5", max_tokens=5, messages=hello)
except anthropic.AuthenticationError as error:
    print(type(error).__name__, error.status_code, error.body["error"])
for other, model in (
    (client.with_options(timeout=0.5), "slow"),
    (client.with_options(base_url="http://127.0.0.1:9"), "claude-haiku-4-5"),
):
    try:
        other.messages.create(model=model, max_tokens=5, messages=hello)
    except anthropic.APIConnectionError as error:
        print(type(error).__name__, error.body, isinstance(error, anthropic.APITimeoutError))
