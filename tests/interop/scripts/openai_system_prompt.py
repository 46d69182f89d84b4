"""A system prompt, and settings."""

from openai import OpenAI

completion = OpenAI().chat.completions.create(
    model="gpt-4o",
    messages=[
        {"role": "system", "content": "You are a poet."},
        {"role": "user", "content": [{"type": "text", "text": "What is the sea?"}]},
    ],
    temperature=0.2,
    top_p=0.9,
    seed=7,
    stop=["END"],
    max_tokens=300,
    presence_penalty=0.5,
    user="ada",
)
print(completion.choices[0].message.content, completion.usage.total_tokens)
