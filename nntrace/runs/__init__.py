"""Where runs are: names of run folders, finding and listing them, fetching them from a URL."""
