"""LM Studio, by its OpenAI-compatible and its own API."""
