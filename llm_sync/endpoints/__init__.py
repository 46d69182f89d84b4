"""From a configuration to what its requests go through: for each provider its dialect, HTTP client, retries and gate."""
