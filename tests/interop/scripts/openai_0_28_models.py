"""The models of 2023."""

import openai

models = openai.Model.list()
print([model["id"] for model in models["data"]], models.object, openai.Model.retrieve("gpt-4o")["id"])
