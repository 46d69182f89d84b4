"""An answer that the limit cuts."""

from anthropic import Anthropic

message = Anthropic().messages.create(
    model="claude-haiku-4-5", max_tokens=3, messages=[{"role": "user", "content": "Tell me all"}]
)
print(message.stop_reason, message.content[0].text, message.usage.output_tokens)
