"""Pickling and copying."""

import copy
import pickle

from openai import OpenAI

completion = OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Say hello"}])
for made in (pickle.loads(pickle.dumps(completion)), copy.copy(completion), copy.deepcopy(completion), completion.model_copy()):
    print(type(made).__name__, made == completion, made.choices[0].message.content == completion.choices[0].message.content)
    print(type(made.choices[0].message).__name__, made.usage.total_tokens)
