"""Embeddings as the providers give them: ``vectors`` makes them of the texts, a module for each form checks and answers."""
