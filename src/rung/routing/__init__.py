"""Health-aware choice of a model, and the one place through which every call to one goes."""
