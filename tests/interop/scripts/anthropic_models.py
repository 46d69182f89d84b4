"""Iterating over models, and one of them."""

from anthropic import Anthropic

client = Anthropic()
print([model.id for model in client.models.list()], client.models.list().data[0].type)
print(client.models.retrieve("claude-opus-5").id)
