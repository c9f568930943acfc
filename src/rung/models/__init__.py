"""The catalogue of models and the store of weights: fetch, verify, list, remove."""
