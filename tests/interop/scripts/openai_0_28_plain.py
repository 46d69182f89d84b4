"""A plain question of 2023, read by items and by attributes."""

import openai

completion = openai.ChatCompletion.create(model="gpt-3.5-turbo", messages=[{"role": "user", "content": "Say hello"}])
print(
    completion["choices"][0]["message"]["content"],
    completion.choices[0].message.content == completion["choices"][0]["message"]["content"],
)
print(completion.choices[0]["finish_reason"], completion["usage"]["total_tokens"], completion.object, completion.model)
print(completion.get("nothing"), "choices" in completion, sorted(completion), isinstance(completion, dict))
