"""The only place that reads the environment and `rung.toml`."""
