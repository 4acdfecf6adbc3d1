"""Starts tracing: `nntrace run`, `nntrace.start`, and the agent inside the traced program."""
