"""The way to an engine on another machine."""
