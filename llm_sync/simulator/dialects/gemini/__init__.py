"""Gemini's generateContent, and its model listing."""
