"""The recipe's steps from real training on: overfit, regularise, tune, squeeze out."""

from typing import Final

from nntrace.recipe import training_facts as training
from nntrace.recipe.step import KARPATHY, REASONS, Stage, State, Step
from nntrace.rules import Severity

_BOTH = (KARPATHY, REASONS)
_REASONS = (REASONS,)

OVERFIT: Final = (
    Step(
        "3.1",
        "Copy a known architecture",
        Stage.OVERFIT,
        "Do not be a hero: take the simplest architecture of the most related paper that works.",
        rules=("ACT08", "PAR06"),
        otherwise=State.ADVICE,
    ),
    Step(
        "3.2",
        "Begin with Adam at 3e-4",
        Stage.OVERFIT,
        "Adam at 3e-4 forgives much; a tuned SGD may win by a little, later.",
        rules=("UPD11", "UPD15"),
        fact=training.adam,
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "3.3",
        "Steps have the right size",
        Stage.OVERFIT,
        "Divide rms(Δw) by rms(w): about 1e-3 is right. If it is k times that, divide the learning "
        "rate by k. "
        "`nntrace check CMD` sweeps it.",
        rules=(
            *("UPD01", "UPD02", "UPD03", "UPD07", "UPD08", "UPD16"),
            *("GRD09", "PAR02", "PAR04", "PRB07"),
        ),
        needs=("UPD01",),
        fact=training.update_ratio,
        sources=_BOTH,
    ),
    Step(
        "3.4",
        "Signals pass through all layers",
        Stage.OVERFIT,
        "Look at activations layer by layer: standard deviations between 0.5 and 2, few dead "
        "units, nothing saturated.",
        rules=("ACT01", "ACT02", "ACT03", "ACT04", "ACT05", "ACT06", "ACT07", "ACT09", "ACT13"),
        fact=training.signal_scale,
        sources=_REASONS,
    ),
    Step(
        "3.5",
        "Gradients reach the first layer, and do not explode",
        Stage.OVERFIT,
        "Look at gradients layer by layer. Residual connections, norms and clipping help.",
        rules=("GRD01", "GRD02", "GRD05", "GRD07", "GRD10"),
        fact=training.gradient_norm,
        sources=_REASONS,
    ),
    Step(
        "3.6",
        "Numbers stay finite",
        Stage.OVERFIT,
        "Stop at the first NaN; look for divisions, logarithms, roots, and a large learning rate.",
        rules=("NUM01", "NUM02", "NUM03", "NUM04", "NUM05", "NUM06", "NUM07", "NUM08", "NUM09"),
        needs=("NUM01",),
        fact=training.finite_losses,
        sources=_REASONS,
    ),
    Step(
        "3.7",
        "The model can fit its training data",
        Stage.OVERFIT,
        "Enlarge the model, regularise less and train longer until the training loss is low.",
        fact=training.fits_training_data,
        sources=_BOTH,
        rules=("LOS14", "LOS24"),
        needs=("LOS14",),
    ),
    Step(
        "3.8",
        "Complexify one thing at a time",
        Stage.OVERFIT,
        "Add one signal, one layer, one trick, and see each of them help: nntrace diff A B.",
        otherwise=State.ADVICE,
    ),
    Step(
        "3.9",
        "Do not trust learning-rate decay defaults",
        Stage.OVERFIT,
        "Keep the learning rate constant for now, or make sure that the schedule is meant for "
        "this number of steps.",
        rules=("UPD09", "UPD10", "UPD17", "UPD18"),
        fact=training.schedule,
    ),
)


def _advice(stage: Stage, *rows: tuple[str, str]) -> tuple[Step, ...]:
    """Steps of pure advice, which no run can verify, numbered in order."""
    return tuple(
        Step(f"{stage.number}.{place}", title, stage, how, otherwise=State.ADVICE)
        for place, (title, how) in enumerate(rows, 1)
    )


REGULARISE: Final = (
    *_advice(
        Stage.REGULARISE,
        ("Get more data", "By far the best way, before any engineering on a small set."),
        ("Augment", "Half-fake data: flips, crops, noise. Too much of it causes underfitting."),
        ("Augment creatively", "Simulation, domain randomisation, pasted objects, GANs."),
        ("Use a pretrained network", "It rarely hurts, even with enough data."),
        ("Stay with supervised learning", "Do not count on unsupervised pretraining for vision."),
        ("Make the input smaller", "Leave out what is spurious; use smaller images."),
    ),
    Step(
        "4.7",
        "Make the model smaller",
        Stage.REGULARISE,
        "Domain knowledge saves parameters: average pooling instead of dense layers on top.",
        fact=training.model_size,
        otherwise=State.ADVICE,
    ),
    Step(
        "4.8",
        "Make the batch smaller",
        Stage.REGULARISE,
        "With batch norm a smaller batch regularises more.",
        fact=training.batch_size,
        otherwise=State.ADVICE,
        sources=_BOTH,
        rules=("DAT16", "DAT17", "GRD08"),
    ),
    Step(
        "4.9",
        "Drop out",
        Stage.REGULARISE,
        "Use it sparingly: dropout does not play well with batch norm.",
        rules=("ACT10", "ACT11"),
        fact=training.dropout,
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "4.10",
        "Decay weights",
        Stage.REGULARISE,
        "Raise the penalty; lower it again where the training loss suffers.",
        rules=("PAR03", "PAR05", "UPD12", "UPD14"),
        fact=training.decay,
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "4.11",
        "Stop early",
        Stage.REGULARISE,
        "Keep the weights of the best evaluation, before overfitting sets in.",
        otherwise=State.ADVICE,
        rules=("LOS13", "RUN14", "RUN15"),
    ),
    Step(
        "4.12",
        "Try a larger model",
        Stage.REGULARISE,
        "Stopped early, it is often better than a smaller one trained to the end.",
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "4.13",
        "Look at the first layer's filters",
        Stage.REGULARISE,
        "For images they should be smooth edges, not noise: nntrace report RUN shows them.",
        rules=("PAR07",),
        needs=("PAR07",),
        fails_from=Severity.INFO,
        otherwise=State.ADVICE,
    ),
)

TUNE: Final = _advice(
    Stage.TUNE,
    (
        "Random over grid search",
        "Some parameters matter far more than others: random search tries more values of each.",
    ),
    (
        "Optimise hyper-parameters",
        "Bayesian optimisation helps; begin with learning rate, batch size and initialisation.",
    ),
)

SQUEEZE: Final = (
    *_advice(
        Stage.SQUEEZE,
        ("Ensembles", "Five models give about 2 % on anything; distil them where that is slow."),
    ),
    Step(
        "6.2",
        "Leave it training",
        Stage.SQUEEZE,
        "Networks go on training for unintuitively long: do not stop when the loss levels off.",
        fact=training.still_falling,
        otherwise=State.ADVICE,
        sources=_BOTH,
        rules=("LOS15",),
    ),
)
