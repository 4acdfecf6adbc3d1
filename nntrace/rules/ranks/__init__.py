"""DST: several ranks that train one model."""
