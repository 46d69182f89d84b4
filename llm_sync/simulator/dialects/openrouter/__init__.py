"""OpenRouter's chat completions."""
