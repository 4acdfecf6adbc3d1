"""Axes taken for others: of examples, of classes, of the keys that attention weighs."""
