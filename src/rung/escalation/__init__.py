"""Classify, matrix, worker and checker, executor, review queue."""
