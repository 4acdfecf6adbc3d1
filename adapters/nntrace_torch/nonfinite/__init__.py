"""Where a NaN or an infinity comes from, in the step in which it appears."""
