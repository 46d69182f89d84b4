"""Statuses as exceptions."""

import litellm

litellm.suppress_debug_info = True

hello = [{"role": "user", "content": "Say hello"}]
for model in (
    "openai/status-400",
    "openai/status-404",
    "openai/status-422",
    "openai/status-429",
    "openai/status-500",
    "openai/status-503",
    "anthropic/status-400",
    "anthropic/status-404",
    "anthropic/status-429",
    "anthropic/status-500",
):
    try:
        litellm.completion(model=model, messages=hello, num_retries=0, max_retries=0)
    except Exception as error:
        print(type(error).__name__, error.status_code, error.llm_provider, error.model)
try:
    litellm.completion(model="openai/gpt-4o", messages=hello, api_key="sk-wrong-0123456789", num_retries=0, max_retries=0)
except litellm.AuthenticationError as error:
    print(type(error).__name__, error.status_code, error.llm_provider)
try:
    litellm.completion(model="openai/slow", messages=hello, timeout=0.5, num_retries=0, max_retries=0)
except litellm.Timeout as error:
    print(type(error).__name__, error.status_code)
for model, more in (("nowhere/model", {}), ("anthropic/claude-haiku-4-5", {"frequency_penalty": 1})):
    try:
        litellm.completion(model=model, messages=hello, **more)
    except litellm.BadRequestError as error:
        print(type(error).__name__, error.status_code)
