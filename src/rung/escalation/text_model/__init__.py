"""What a request looks like, learned from labelled requests by benchmarks/train_classifier.py."""
