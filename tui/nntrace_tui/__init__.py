"""The terminal monitor."""
