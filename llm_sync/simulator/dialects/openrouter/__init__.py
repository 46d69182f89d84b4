"""OpenRouter's chat completions, and its model listing."""
