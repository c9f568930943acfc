"""One adapter per engine: build request, parse answer, map errors, health. Nothing else."""
