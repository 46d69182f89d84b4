"""Threads, queues and futures. Independent of HTTP and LLMs.

``manager`` owns the provider queues of one client. ``queue`` is the FIFO of one provider; its ``worker`` threads form a
``worker_pool``. The queue holds ``future`` objects, which callers wait for (``wait``); ``waiting`` has those that no worker has
taken. ``status`` counts. ``shutdown`` finishes or cancels queued work when the process ends. ``errors`` builds the exceptions.
"""
