"""Many conversations at once, in order, exceptions in place."""

import litellm

litellm.suppress_debug_info = True

words = ("One", "Two", "Three", "Four")
found = litellm.batch_completion(
    model="openai/gpt-4o-mini", messages=[[{"role": "user", "content": word}] for word in words], max_tokens=300
)
print([response.choices[0].message.content for response in found])
found = litellm.batch_completion(
    model="openai/status-400", messages=[[{"role": "user", "content": word}] for word in words], num_retries=0, max_retries=0
)
print([type(error).__name__ for error in found])
