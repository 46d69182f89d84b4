"""The vectors of a file of texts: grouped into requests, resumable after a kill at any moment, written in the texts' order.

``runner`` runs it. ``texts`` reads the input, ``known`` finds what previous runs and equal texts have, by content; ``lane``
decides what is sent next, ``sender`` sends groups and writes the journal, whose lines are in ``records``; ``output`` writes the
finished files, ``printing`` gives records without any. Journal, store and source are those of every batch.
"""

from llm_sync.batch.embedding.runner import embed
from llm_sync.batch.embedding.summary import EmbeddingProgress, EmbeddingSummary

__all__ = ["EmbeddingProgress", "EmbeddingSummary", "embed"]
