"""llama-server, with one model or as a router."""
