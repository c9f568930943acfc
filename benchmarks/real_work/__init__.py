"""Real work through `rung do`, measured. `__main__` says how to run it."""
