"""Anthropic's Messages API, and its model listing."""
