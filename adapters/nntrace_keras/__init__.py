"""The Keras 3 adapter. Imported only after `keras` has finished importing."""

from nntrace_keras.adapter import KerasAdapter

__all__ = ["KerasAdapter"]
