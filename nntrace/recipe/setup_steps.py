"""The recipe's steps before real training: the data, and a skeleton that can be trusted."""

from typing import Final

from nntrace.recipe import data_facts as data
from nntrace.recipe import training_facts as training
from nntrace.recipe.step import KARPATHY, REASONS, Stage, State, Step
from nntrace.rules import Severity

_BOTH = (KARPATHY, REASONS)
_REASONS = (REASONS,)

DATA: Final = (
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
        "Inputs are present and vary",
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
        "No example occurs twice",
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

SKELETON: Final = (
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
        rules=("GRD03", "GRD04", "UPD04", "UPD05", "UPD06", "UPD13", "RUN04", "RUN05", "GRD11"),
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
        rules=("DAT21", "DAT23"),
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
        rules=("ACT14", "DAT22", "PRB03", "PRB04"),
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
