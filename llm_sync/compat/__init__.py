"""Stand-ins for other packages over LLMClient, so that scripts written for those run on llm-sync.

``llm_sync.compat.openai``, ``.anthropic`` and ``.litellm`` stand in for the packages of those names; ``llm-sync run-script``
and ``python -m llm_sync.compat`` run an unmodified script so that it finds them (docs/migrating.md). Nothing of the originals
is imported.
"""
