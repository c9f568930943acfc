"""JSON Schema in, valid object out."""
