"""OpenAI's chat completions and Responses API, and the compatible endpoints of others."""
