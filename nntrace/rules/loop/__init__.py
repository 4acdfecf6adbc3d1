"""RUN: the training loop, its evaluations, and what they cost."""
