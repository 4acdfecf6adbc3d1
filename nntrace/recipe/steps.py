"""The steps of the recipe, each declared once: text, page, JSON and documentation derive from it.

The order is that of Karpathy's text; what the list of 37 reasons adds stands where it is needed
first. A rule belongs to at most one step.
"""

from typing import Final

from nntrace.recipe import data_facts as data
from nntrace.recipe import training_facts as training
from nntrace.recipe.step import KARPATHY, REASONS, Stage, State, Step
from nntrace.rules import Severity

_BOTH = (KARPATHY, REASONS)
_REASONS = (REASONS,)

_DATA: Final = (
    Step(
        "1.1",
        "Look at the data yourself",
        Stage.DATA,
        "Read hundreds of examples with their labels. Which variation matters, which could be "
        "preprocessed away? Would you need the whole example or a detail to tell the answer?",
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "1.2",
        "Inputs are there, and vary",
        Stage.DATA,
        "Print minimum, maximum and spread of a few batches at the model's call.",
        rules=("DAT01", "DAT06", "DAT18"),
        needs=("DAT01",),
        fact=data.input_range,
        sources=_REASONS,
    ),
    Step(
        "1.3",
        "Inputs are standardised",
        Stage.DATA,
        "Print mean and standard deviation of a batch: near 0 and 1 for floating-point inputs.",
        rules=("DAT04", "DAT05", "DAT19"),
        needs=("DAT04",),
        fact=data.input_scale,
        sources=_BOTH,
    ),
    Step(
        "1.4",
        "Labels are balanced, other targets scaled",
        Stage.DATA,
        "Count the labels; weight or resample the rare classes. Scale targets of a regression.",
        rules=("DAT10", "DAT11", "DAT12", "DAT13"),
        needs=("DAT10",),
        fact=data.label_balance,
        sources=_BOTH,
    ),
    Step(
        "1.5",
        "No example is there twice",
        Stage.DATA,
        "Hash the examples and count equal ones, within and across training and test set.",
        rules=("DAT08",),
        fact=data.copies,
    ),
    Step(
        "1.6",
        "The loader shuffles, and delivers everything",
        Stage.DATA,
        "Shuffle every epoch; print the labels of the first batches, and count the batches.",
        rules=("DAT02", "DAT03", "DAT09", "DAT20"),
        needs=("DAT02", "DAT03"),
        fact=data.training_passes,
        sources=_REASONS,
    ),
    Step(
        "1.7",
        "Sort and search",
        Stage.DATA,
        "Sort examples by size, by label, by their loss under the model, and look at both ends: "
        "outliers almost always uncover bugs in the data or its preprocessing.",
        otherwise=State.ADVICE,
        rules=("DAT07",),
    ),
    Step(
        "1.8",
        "Know the noise in the labels",
        Stage.DATA,
        "Label a hundred examples again: the disagreement bounds what any model can reach. Is "
        "there enough signal in the input at all?",
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "1.9",
        "Training, evaluation and pretraining preprocess alike",
        Stage.DATA,
        "Compare mean and spread of a training and an evaluation batch at the model's call, and "
        "for a pretrained model with the statistics it was trained on. Fit them on training data.",
        sources=_REASONS,
        rules=("DAT14", "DAT15"),
    ),
)

_SKELETON: Final = (
    Step(
        "2.1",
        "Fix the random seed",
        Stage.SKELETON,
        "Set the framework's seed before the model is built. `nntrace check CMD` runs it twice.",
        rules=("RUN03", "PRB08"),
        needs=("RUN03",),
        fact=training.seed,
        fails_from=Severity.INFO,
    ),
    Step(
        "2.2",
        "Simplify",
        Stage.SKELETON,
        "Begin with a small standard model and without augmentation: it is one more place for a "
        "bug. On a new data set begin with a known one that must work.",
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "2.3",
        "Evaluate on the whole set",
        Stage.SKELETON,
        "Evaluate on all of the evaluation data, not on a few batches smoothed over time.",
        fact=data.evaluation_passes,
        rules=("LOS23", "RUN11"),
        fails_from=Severity.INFO,
    ),
    Step(
        "2.4",
        "Log a metric that people understand",
        Stage.SKELETON,
        "Log accuracy or its like beside the loss: nntrace.log(accuracy=…).",
        fact=training.other_metrics,
        sources=_BOTH,
        rules=("LOS22",),
    ),
    Step(
        "2.5",
        "The loss fits what it receives",
        Stage.SKELETON,
        "Read the loss function's page: logits or probabilities, class numbers or one-hot? Print "
        "shapes and ranges of both arguments. Weigh several losses against each other.",
        rules=(
            *("LOS02", "LOS03", "LOS04", "LOS05", "LOS06", "LOS16", "LOS17", "LOS18", "LOS19"),
            "LOS21",
        ),
        fact=training.loss_inputs,
        sources=_REASONS,
    ),
    Step(
        "2.6",
        "Verify the loss at initialisation",
        Stage.SKELETON,
        "Compare the first loss with chance: ln C for softmax over C classes, ln 2 for a binary "
        "one, the targets' mean square for squared error.",
        rules=("LOS01",),
        fact=training.loss_at_start,
        sources=_BOTH,
    ),
    Step(
        "2.7",
        "Initialise well, the last layer most of all",
        Stage.SKELETON,
        "Set the last bias to the targets' mean or log-odds, and its weights small: the first "
        "hundreds of steps are then not spent on learning the bias.",
        rules=("INI01", "INI02", "INI03", "INI04", "INI05", "PAR01"),
        needs=("INI01", "INI02"),
        fact=training.initial_weights,
        sources=_BOTH,
    ),
    Step(
        "2.8",
        "Know the human baseline",
        Stage.SKELETON,
        "Score yourself, or annotate the test set twice and take one for the prediction.",
        otherwise=State.ADVICE,
    ),
    Step(
        "2.9",
        "Beat an input-independent baseline",
        Stage.SKELETON,
        "Train once with all inputs set to zero: the real inputs must do clearly better. "
        "`nntrace check CMD` does so.",
        rules=("LOS11", "LOS12", "PRB02", "PRB06"),
        fact=training.beats_chance,
        sources=_BOTH,
    ),
    Step(
        "2.10",
        "Overfit one batch",
        Stage.SKELETON,
        "Train on a single batch of a few examples, without augmentation and regularisation, "
        "until the loss is near its floor. If it does not get there, there is a bug. "
        "`nntrace check CMD` does so.",
        rules=("PRB01",),
        fact=training.one_batch,
        sources=_BOTH,
    ),
    Step(
        "2.11",
        "Verify that the training loss decreases",
        Stage.SKELETON,
        "Train for some hundred steps. Then add capacity: the loss should fall further.",
        rules=("LOS07", "LOS08", "LOS09", "LOS10", "LOS20", "PRB09"),
        needs=("LOS07",),
        fact=training.loss_course,
        sources=_BOTH,
    ),
    Step(
        "2.12",
        "Every parameter learns",
        Stage.SKELETON,
        "Compare parameters before and after a step; look for detach, requires_grad and "
        "parameters the optimizer was not given.",
        rules=("GRD03", "GRD04", "UPD04", "UPD05", "UPD06", "UPD13", "RUN04", "RUN05"),
        needs=("GRD03", "UPD04", "UPD06"),
        fact=training.learning_parameters,
        sources=_REASONS,
    ),
    Step(
        "2.13",
        "Gradients are cleared before each step",
        Stage.SKELETON,
        "In PyTorch, call optimizer.zero_grad() before backward.",
        rules=("GRD06",),
        fact=training.cleared_gradients,
    ),
    Step(
        "2.14",
        "Modes are switched",
        Stage.SKELETON,
        "Call model.train() before training and model.eval() before evaluating.",
        rules=("RUN01", "RUN02", "RUN06", "RUN13", "ACT12"),
        needs=("RUN01",),
        fact=training.modes,
        sources=_BOTH,
    ),
    Step(
        "2.15",
        "Look at the data just before the net",
        Stage.SKELETON,
        "nntrace report RUN shows the very tensors that entered the model: decode them with your "
        "own eyes, labels beside them.",
        fact=data.first_batch,
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "2.16",
        "Watch the predictions move",
        Stage.SKELETON,
        "Show the predictions for one fixed test batch during training: how they move, or jitter, "
        "tells how training goes.",
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
    Step(
        "2.17",
        "Chart dependencies with backprop",
        Stage.SKELETON,
        "Make the loss the sum of the outputs of example i, call backward, and see that only "
        "input i has a gradient. For a sequence model: only times up to t. "
        "`nntrace check CMD` does so.",
        rules=(
            "PRB03",
            "PRB04",
        ),
        needs=("PRB03",),
        sources=_BOTH,
    ),
    Step(
        "2.18",
        "Check gradients of what you wrote yourself",
        Stage.SKELETON,
        "Test custom layers alone: with a size of its own for each dimension, and their backward "
        "against finite differences (torch.autograd.gradcheck). "
        "`nntrace check CMD` does so for functions.",
        rules=("PRB05",),
        sources=_REASONS,
    ),
    Step(
        "2.19",
        "Generalise a special case",
        Stage.SKELETON,
        "Write the special case first, make it work, then generalise and compare: loops before "
        "vectorised code.",
        otherwise=State.ADVICE,
        sources=_BOTH,
    ),
)

_OVERFIT: Final = (
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
        "Compare rms(Δw) with rms(w): about 1e-3. Else change the learning rate by that factor. "
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
        rules=("UPD09", "UPD10", "UPD17"),
        fact=training.schedule,
    ),
)


def _advice(stage: Stage, *rows: tuple[str, str]) -> tuple[Step, ...]:
    """Steps that no run can verify, numbered in order."""
    return tuple(
        Step(f"{stage.number}.{place}", title, stage, how, otherwise=State.ADVICE)
        for place, (title, how) in enumerate(rows, 1)
    )


_REGULARISE: Final = (
    *_advice(
        Stage.REGULARISE,
        ("Get more data", "By far the best way, before any engineering on a small set."),
        ("Augment", "Half-fake data: flips, crops, noise. Too much of it makes underfitting."),
        ("Augment creatively", "Simulation, domain randomisation, pasted objects, GANs."),
        ("Use a pretrained network", "It rarely hurts, even with enough data."),
        ("Stay with supervised learning", "Do not count on unsupervised pretraining for vision."),
        ("Make the input smaller", "Leave out what is spurious; use smaller images."),
    ),
    Step(
        "4.7",
        "Make the model smaller",
        Stage.REGULARISE,
        "Domain knowledge leaves out parameters: average pooling for dense layers on top.",
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
        rules=("LOS13",),
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
        "Of images they should be smooth edges, no noise: nntrace report RUN shows them.",
        rules=("PAR07",),
        fails_from=Severity.INFO,
        otherwise=State.ADVICE,
    ),
)

_TUNE: Final = _advice(
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

_SQUEEZE: Final = (
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

STEPS: Final = (*_DATA, *_SKELETON, *_OVERFIT, *_REGULARISE, *_TUNE, *_SQUEEZE)
