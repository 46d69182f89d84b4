"""Pictures, as data and by URL."""

from openai import OpenAI

pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
for url in (pixel, "https://example.com/cat.png"):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    completion = OpenAI().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])
    print(completion.choices[0].message.content, completion.usage.prompt_tokens)
