"""``openai.version``: the version that scripts find, which is that of the package whose parameters the tables hold."""

VERSION = "3.57.0"
