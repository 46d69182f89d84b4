"""Pickling, copying, JSON, changing."""

import copy
import json
import pickle

import openai

completion = openai.ChatCompletion.create(model="gpt-4", messages=[{"role": "user", "content": "Say hello"}])
for made in (pickle.loads(pickle.dumps(completion)), copy.copy(completion), copy.deepcopy(completion)):
    print(type(made).__name__, made["choices"][0]["message"]["content"] == completion.choices[0].message.content)
print(
    json.loads(str(completion)) == json.loads(json.dumps(completion)), type(completion.to_dict_recursive()["choices"][0]).__name__
)
completion.note = "mine"
print(completion["note"], hasattr(completion, "nothing"))
