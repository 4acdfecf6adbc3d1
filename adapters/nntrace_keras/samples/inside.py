"""What is sampled inside of layers: the inputs of batch norms, and how sharp attention is."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace.schema import Role
from nntrace_keras.program.sources import Sources
from nntrace_keras.samples.attention import entropies, is_attention, shape_of
from nntrace_keras.samples.capture import Capture
from nntrace_keras.samples.running_norms import normalised
from nntrace_keras.samples.tensor_sites import channels, tensor_site
from nntrace_keras.tape.under_tape import AttentionCall, Gradient, NormCall


def add_inside(capture: Capture, gradient: Gradient, sources: Sources) -> None:
    """Sample it for the calls under one tape; of a layer that is called twice, the first call."""
    home, last = _place_of(gradient.targets)
    norms = {call.path: call for call in reversed(gradient.calls.norms)}
    for norm in reversed(norms.values()):
        if getattr(norm.entered, "graph", None) is home:
            _add_norm(capture, norm, sources)
    attention = {
        call.path: call for call in reversed(gradient.calls.attention) if is_attention(call, last)
    }
    for rows in reversed(attention.values()):
        if getattr(rows.rows, "graph", None) is home:
            _add_attention(capture, rows, sources)


def _add_norm(capture: Capture, call: NormCall, sources: Sources) -> None:
    layer, entered = call.layer, tf.convert_to_tensor(call.entered)
    axis = layer.axis if isinstance(layer.axis, int) else -1
    if not entered.shape[axis]:
        return
    kind, source, facts = type(layer).__name__, sources.of(layer), channels(axis, entered)
    site = tensor_site(call.path, Role.RUNNING_NORM, kind, entered, source, axis=axis, facts=facts)
    capture.add_examples(site, entered, axis, finish=partial(normalised, call))


def _add_attention(capture: Capture, call: AttentionCall, sources: Sources) -> None:
    kind, source, shape = type(call.layer).__name__, sources.of(call.layer), shape_of(call.rows)
    facts = {"unit_axis": len(shape) - 1}
    site = tensor_site(call.path, Role.ATTENTION, kind, call.rows, source, facts=facts)
    site = replace(site, width=shape[-1] or 1)
    capture.add_examples(site, call.rows, -1, shape=shape, make=entropies)


def _place_of(targets: Sequence[Any]) -> tuple[Any, int]:
    """The graph of the differentiated tensors, and the number of its last operation they need.

    (None, 0) eagerly.
    """
    symbolic = [target for target in targets if isinstance(target, ops.SymbolicTensor)]
    if not symbolic:
        return None, 0
    return symbolic[0].graph, max(target.op._id for target in symbolic)
