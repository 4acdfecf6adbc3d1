"""What a sampled step reads: which tensors, which of their elements, for which sites."""
