"""What outcomes teach: which rung comes first, which next, and when to stop (docs/learning.md)."""
