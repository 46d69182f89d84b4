"""The providers' Batch APIs: many requests in one job, whose answers are fetched when the provider has worked on all of them.

``wire`` says what a provider's Batch API has to tell; ``openai_batches`` and its neighbours are those of the providers, found by
``choice``. ``door`` makes the HTTP exchanges. ``job`` is one job, with all that must survive a crash. ``provider_jobs`` submits
jobs, looks at them and, with ``collecting``, takes their rows, in steps that ``driver`` runs; ``search`` finds jobs whose create
had no answer; ``rows`` turns rows into answers and errors. The batch room has the lines and the journal (``ports``).
"""
