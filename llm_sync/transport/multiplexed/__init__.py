"""Many exchanges at once in one thread: what of an HTTP request needs no waiting but for a socket.

``client`` finds a connection and a request's head for each call. ``transfer`` is one exchange over a connection that is open.
Connections come from the Session's pool and go back into it; opening one, and every response that is not simple, is left to
helper threads, which do it as HTTPClient.request does.
"""
