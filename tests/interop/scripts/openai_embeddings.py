"""Embeddings: one text, several, base64, and a text that is refused."""

import base64
import struct

import openai

client = openai.OpenAI()
MODEL = "text-embedding-3-small"


def rounded(numbers):
    """Six digits: a vector comes in digits or in base64, which has some seven."""
    return [round(number, 6) for number in numbers]


one = client.embeddings.create(model=MODEL, input="Say hello", dimensions=4)
print(type(one).__name__, type(one.data[0]).__name__, one.object, one.model, one.data[0].object, one.data[0].index)
print(rounded(one.data[0].embedding), one.usage.prompt_tokens, one.usage.total_tokens)
plain = one.to_dict()
print(sorted(plain), sorted(plain["data"][0]), plain["usage"], type(plain["data"]).__name__, type(plain["usage"]).__name__)
both = client.embeddings.create(model=MODEL, input=["a cat", "a dog"], dimensions=4, encoding_format="float", user="ada")
print([(each.index, rounded(each.embedding)) for each in both.data])
packed = client.embeddings.create(model=MODEL, input=("a cat",), dimensions=4, encoding_format="base64")
print(rounded(struct.unpack("<4f", base64.b64decode(packed.data[0].embedding))), type(packed.data[0].embedding).__name__)
print(rounded(openai.embeddings.create(model=MODEL, input="a cat", dimensions=2).data[0].embedding))
try:
    client.embeddings.create(model=MODEL, input=["a cat", ""])
except openai.BadRequestError as error:
    print(type(error).__name__)
