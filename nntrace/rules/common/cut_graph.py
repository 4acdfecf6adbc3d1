"""Where to look for what cuts the graph between a model and its loss."""

CUT = (
    "Look between the model's output and the loss for an argmax, a rounding or comparison, "
    "`.detach()`, `.item()`, `.numpy()`, `torch.tensor(...)` or `torch.no_grad()`; setting "
    "`requires_grad` on the loss only silences the error that would say so."
)
CUT_IN_KERAS = (
    "Look between the model's output and the loss for an argmax, a rounding or comparison, a cast "
    "to integers, `.numpy()`, `tf.constant(...)`, `tf.py_function` or `stop_gradient`; and whether "
    "the model is called inside of the `with tf.GradientTape()` block."
)
