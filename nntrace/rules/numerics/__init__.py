"""NUM: values that are not finite, and values that are about to be."""
