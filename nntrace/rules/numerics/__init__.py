"""NUM: values that are not finite, and values on the way there."""
