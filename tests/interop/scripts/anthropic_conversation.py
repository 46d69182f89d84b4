"""Several turns, the model's own blocks among them."""

from anthropic import Anthropic

client = Anthropic()
messages = [{"role": "user", "content": "My name is Ada."}]
for question in ("What is my name?", "And yours?"):
    message = client.messages.create(model="claude-haiku-4-5", max_tokens=300, messages=messages)
    print(message.content[0].text)
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": question}]
