"""Pictures, as data and by URL."""

from anthropic import Anthropic

data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
pixel = {"type": "base64", "media_type": "image/png", "data": data}
for source in (pixel, {"type": "url", "url": "https://example.com/cat.png"}):
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    message = Anthropic().messages.create(
        model="claude-sonnet-4-5", max_tokens=300, messages=[{"role": "user", "content": content}]
    )
    print(message.content[0].text, message.usage.input_tokens)
