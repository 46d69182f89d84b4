"""Threads, queues and futures; knows nothing of HTTP or LLMs.

``manager`` owns the provider queues of one client. ``queue``: one provider's FIFO, which ``crew`` keeps in ``worker``
threads; what stands in it are the ``future`` objects that callers wait for (``waiting``). ``gate``: when may the next
attempt go. ``status``: the counts. ``ending`` and ``fork``: what becomes of it all when the process ends or splits.
``locks``: conditions that Ctrl-C cannot break. ``refusals``: errors in words.
"""
