"""How a program comes to be traced: `nntrace run`, `nntrace.start`, and what runs inside it."""
