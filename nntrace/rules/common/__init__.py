"""What the rules of several families ask of a trace."""
