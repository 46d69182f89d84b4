"""Every status as an exception"""

import anthropic

client = anthropic.Anthropic(max_retries=0)
hello = [{"role": "user", "content": "Say hello"}]
for status in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529):
    try:
        client.messages.create(model=f"status-{status}", max_tokens=10, messages=hello)
    except anthropic.APIStatusError as error:
        print(type(error).__name__, error.status_code, error.type, error.message, error.response.is_server_error)
        print([kind.__name__ for kind in type(error).__mro__ if issubclass(kind, anthropic.APIError)])
