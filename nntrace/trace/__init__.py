"""Reads run folders. The rest of nntrace sees a run only through `Trace`."""

from nntrace.trace.extent import last_step
from nntrace.trace.model import Batch, Event, Site, Steps, Tensor
from nntrace.trace.trace import Trace

__all__ = ["Batch", "Event", "Site", "Steps", "Tensor", "Trace", "last_step"]
