"""A system prompt as text and as blocks, and stop sequences."""

from anthropic import Anthropic

for system in ("You are a poet.", [{"type": "text", "text": "You are a poet."}]):
    message = Anthropic().messages.create(
        model="claude-sonnet-4-5",
        max_tokens=300,
        system=system,
        stop_sequences=["END"],
        metadata={"user_id": "ada"},
        messages=[{"role": "user", "content": [{"type": "text", "text": "What is the sea?"}]}],
    )
    print(message.content[0].text, message.usage.output_tokens)
