"""Reading run folders. `Trace` is the only thing the rest of nntrace knows of a run."""

from nntrace.trace.extent import last_step
from nntrace.trace.model import Batch, Event, Site, Steps, Tensor
from nntrace.trace.trace import Trace

__all__ = ["Batch", "Event", "Site", "Steps", "Tensor", "Trace", "last_step"]
