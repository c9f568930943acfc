"""What policies would have come to on recorded outcomes: fixed ladders, learned ones, an oracle."""
