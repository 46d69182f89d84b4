"""Several turns, the model's own message among them."""

from openai import OpenAI

client = OpenAI()
messages = [{"role": "user", "content": "My name is Ada."}]
for question in ("What is my name?", "And yours?"):
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message
    print(answer.content)
    messages += [answer, {"role": "user", "content": question}]
print(len(messages))
