"""Iterating over models, and one of them."""

from openai import NotFoundError, OpenAI

client = OpenAI()
print([model.id for model in client.models.list()])
page = client.models.list()
print(len(page.data), page.object, page.data[0].object, client.models.retrieve("gpt-4o").id)
try:
    client.models.retrieve("gpt-none")
except NotFoundError as error:
    print(type(error).__name__, error.status_code)
