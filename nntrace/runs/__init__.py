"""Names run folders, finds and lists them, and fetches them from a URL."""
