"""The calls under a `GradientTape`, and what becomes of its gradients."""
