"""Turns what was read of a sampled step into the recorder's samples."""

from nntrace.recorder import KeptTensor, Sample
from nntrace.schema import Role
from nntrace_keras.data.batches import batch_samples
from nntrace_keras.graphs.board import Row
from nntrace_keras.samples.calls import Step
from nntrace_keras.samples.capture import squares_of
from nntrace_keras.samples.keepsakes import KeptFilters
from nntrace_keras.samples.layouts import Found
from nntrace_keras.samples.sites import Sites


class Samples:
    """Makes the samples of one run.

    Args:
        sites: numbers the sites.

    Attributes:
        have_batch: whether the first batch has been kept.
    """

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._filters = KeptFilters()
        self.have_batch = False

    def made(self, step: Step, found: Found, number: int, row: Row, epoch: int | None) -> Sample:
        """The sample of step `number`, in the given pass over the data."""
        if row.loss_scale is not None:
            found.unscale(row.loss_scale)
        for site in step.order:
            if site in found.shapes or site.shape:
                self._sites.id_of(site, found.shapes.get(site, ()))
        parts = tuple(
            part._replace(site=self._sites.id_of(site, found.shapes.get(site, ())))
            for site, part in found.sites
        )
        batch, *further = batch_samples(number, step.facts, found, row.batch_size, epoch)
        tensors = (*self._first_batch(step), *self._filters.keep(number, step.order, found))
        squares = {
            self._sites.id_of(site, ()): float(found.batch[name][0][0])
            for site, _ in found.sites
            if site.role is Role.PARAM_GRAD and (name := squares_of(site)) in found.batch
        }
        return Sample(number, found.values, parts, batch, tensors, tuple(further), squares)

    def _first_batch(self, step: Step) -> tuple[KeptTensor, ...]:
        """The kept batch if this is the first sample; empty for later ones."""
        keepsakes, step.keepsakes = step.keepsakes, None
        if keepsakes is None or self.have_batch:
            return ()
        self.have_batch = True
        return keepsakes.find()
