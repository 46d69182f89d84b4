"""A plain question."""

from anthropic import Anthropic

message = Anthropic().messages.create(
    model="claude-haiku-4-5", max_tokens=300, messages=[{"role": "user", "content": "Say hello"}]
)
print(message.content[0].text, message.content[0].type, message.role, message.type, message.model)
print(message.stop_reason, message.stop_sequence, message.usage.input_tokens, message.usage.output_tokens)
print(message.id.startswith("msg_"), len(message.content))
