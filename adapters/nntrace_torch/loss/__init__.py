"""What is differentiated, and what the program itself asks of it."""
