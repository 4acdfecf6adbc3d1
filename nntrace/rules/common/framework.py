"""In which framework's words to speak."""

from nntrace.trace import Trace


def speaks_keras(trace: Trace) -> bool:
    """Whether a program of Keras or TensorFlow was traced.

    One that has loaded PyTorch as well is PyTorch's, unless Keras itself runs on that.
    """
    loaded = trace.manifest.versions.keys()
    return "keras" in loaded and not {"torch", "tensorflow"} <= loaded
