"""Answers kept in a folder, so that no question is paid twice: the cache of a client, and the cassettes of tests.

``key`` says which requests are equal. ``entry`` is one stored answer, as it is written to a file; ``store`` is the folder.
``answers`` is what a client uses: it looks an answer up, asks once where several ask at the same time (``in_flight`` for threads,
``asking_locks`` for processes), and stores the reply. ``nearest`` explains a miss; ``housekeeping`` and ``transfer`` are the
commands of ``llm-sync cache``; ``pytest_plugin`` has the fixture ``llm_recorded``.

What is stored is the provider's reply, not what this version reads in it: the provider's own code reads it anew each time.
"""
