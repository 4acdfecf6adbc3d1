"""Where values that are not finite were born."""
