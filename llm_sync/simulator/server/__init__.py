"""The HTTP server of the simulator: listening, reading requests, sending responses, and the log of all requests."""
