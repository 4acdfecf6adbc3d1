"""What `nntrace check` does to a Keras program on TensorFlow in its child processes."""

from nntrace_keras.probes.interposer import Interposer

__all__ = ["Interposer"]
