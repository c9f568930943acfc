"""llama.cpp in child processes of Rung's own."""
