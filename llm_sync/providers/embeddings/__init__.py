"""Embeddings: how dialects ask for the vectors of texts and read them.

A dialect names its ``EmbeddingWire`` (``wire``), which says what differs; one without a wire has no embeddings. The
``EmbeddingProvider`` sends by the attempts, the credential and the limits of the entry's own provider. ``vectors`` decodes and
checks, ``limits`` groups texts into requests. Imported when a program asks for embeddings, not before.
"""
