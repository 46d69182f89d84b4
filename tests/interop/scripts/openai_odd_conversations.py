"""Conversations as scripts have them: a system prompt alone, empty messages, parts of text, names"""

import openai

client = openai.OpenAI()
user = {"role": "user", "content": "Say hello"}
for messages in (
    [{"role": "system", "content": "Say hello"}],
    [{"role": "developer", "content": "Be brief"}, user],
    [{"role": "system", "content": ""}, user],
    [user, {"role": "assistant", "content": ""}, user],
    [user, {"role": "assistant", "content": "Well,"}],
    [{"role": "system", "content": [{"type": "text", "text": "a"}]}, user, {"role": "system", "content": "late"}, user],
    [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "ada"}],
):
    answer = client.chat.completions.create(model="gpt-4o", messages=messages)
    print(answer.choices[0].finish_reason, answer.choices[0].message.role, answer.choices[0].message.content != "")
for messages, more in (([], {}), ([user], {"temperature": 3}), ([user], {"max_tokens": "50"})):
    try:
        client.chat.completions.create(model="gpt-4o", messages=messages, **more)
    except openai.BadRequestError as error:
        print(type(error).__name__, error.status_code)
