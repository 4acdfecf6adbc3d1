"""Parameters that took the place of those that an optimizer was given."""

import numpy as np

from nntrace.rules.common.layers import columns, named, sampled_span
from nntrace.rules.common.optimizers import is_of_no_model, optimizer_line
from nntrace.rules.finding import Finding
from nntrace.schema import Role
from nntrace.trace import Site, Trace


def replaced_after_the_optimizer(trace: Trace, blamed: list[Site]) -> Finding | None:
    """The finding on an optimizer that holds as many parameters of no model, which never receive a
    gradient, as there are trainable ones in no optimizer: those were put in the place of these.

    Args:
        trace: the run.
        blamed: parameters that receive gradients, belong to no optimizer and stay as they are.
    """
    sites = trace.sites_of(Role.PARAM_GRAD)
    received = np.nan_to_num(columns(trace, Role.PARAM_GRAD, "n", sites)) > 0
    reached = {sites[place].path for place in np.flatnonzero(received.any(axis=0))}
    strange = [
        site
        for site in trace.sites_of(Role.UPDATE)
        if is_of_no_model(site) and site.path not in reached
    ]
    if not strange or sorted(len(s.shape) for s in strange) != sorted(len(s.shape) for s in blamed):
        return None
    optimizer, paths = strange[0].optimizer, [site.path for site in blamed]
    return Finding(
        f"{optimizer} holds {len(strange)} parameters that no model uses any more, while what took "
        f"their place belongs to no optimizer and stays as it was initialised: {named(paths)}.",
        site=blamed[0],
        steps=sampled_span(trace),
        evidence={"parameters": paths, "optimizer": optimizer, "unused": len(strange)},
        advice="Build the optimizer after the last change of the model: after replacing layers, "
        "copying it, or initialising it anew.",
        location=optimizer_line(trace, strange[0]),
    )
