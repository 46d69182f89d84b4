"""Several turns of 2023."""

import openai

messages = [{"role": "user", "content": "My name is Ada."}]
for question in ("What is my name?", "And yours?"):
    answer = openai.ChatCompletion.create(model="gpt-4", messages=messages)["choices"][0]["message"]
    print(answer["content"])
    messages += [{"role": answer["role"], "content": answer["content"]}, {"role": "user", "content": question}]
