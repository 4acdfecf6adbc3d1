"""What is called under a `GradientTape`, and what becomes of its gradients."""
