"""OpenAI's chat completions and Responses API, Azure OpenAI, and the compatible endpoints of other providers."""
