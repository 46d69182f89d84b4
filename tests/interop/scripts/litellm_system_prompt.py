"""A system prompt, several turns, settings."""

from litellm import completion

messages = [
    {"role": "system", "content": "You are a poet."},
    {"role": "user", "content": "What is the sea?"},
    {"role": "assistant", "content": "Deep."},
    {"role": "user", "content": "And the sky?"},
]
for model in ("openai/gpt-4o", "anthropic/claude-sonnet-4-5"):
    print(completion(model=model, messages=messages, temperature=0.2, max_tokens=300, stop=["END"]).choices[0].message.content)
