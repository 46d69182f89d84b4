"""``openai.version``: the version of the original package that the parameter tables were made for."""

VERSION = "3.57.0"
