"""What the shims of openai, anthropic and litellm share: settings, clients, sending, response objects and errors."""
