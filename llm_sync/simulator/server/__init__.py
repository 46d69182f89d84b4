"""The simulator's HTTP server: it listens, reads requests, routes them, sends responses, and logs every request."""
