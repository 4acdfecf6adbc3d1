"""The Keras 3 adapter. It registers no entry point yet: Keras programs run untraced."""
