"""Three bundled tasks for `rung demo`: two within reach of a 135M model, one beyond it."""
