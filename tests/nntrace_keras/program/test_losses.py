import keras
import numpy as np
import pytest
import tensorflow as tf
from nntrace_keras.program.losses import loss_facts, name_of, recorded_name
from tracing import payloads, tracing

from nntrace.schema import EventKind
from nntrace.trace import Trace


def facts_in_a_graph(activation, loss, after=lambda prediction: prediction):
    layer = keras.layers.Dense(3, activation=activation)
    layer.build((None, 4))
    found = []

    @tf.function
    def step(inputs):
        found.append(loss_facts(loss, after(layer(inputs))))

    step(tf.zeros((2, 4)))
    return found[0]


@pytest.mark.parametrize(
    ("activation", "head"),
    [
        ("sigmoid", "sigmoid"),
        ("softmax", "softmax"),
        ("relu", "relu"),
        (None, "affine"),
        ("swish", None),
    ],
)
def test_the_operation_behind_the_predictions_is_named_in_a_graph(activation, head):
    facts = facts_in_a_graph(activation, keras.losses.MeanSquaredError())
    assert (facts.head, facts.head_width) == (head, 3)


@pytest.mark.parametrize(
    ("activation", "head"),
    [("sigmoid", "sigmoid"), ("softmax", "softmax"), (None, "affine"), ("swish", None)],
)
def test_eagerly_the_layer_that_made_the_predictions_says_what_they_end_in(
    trace_keras, activation, head
):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation)])
    optimizer, loss = keras.optimizers.SGD(0.1), keras.losses.MeanSquaredError()

    def train():
        for _ in range(2):
            with tf.GradientTape() as tape:
                value = loss(tf.zeros((2, 3)), model(tf.ones((2, 4)), training=True))
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(value, variables), variables)

    [call] = payloads(trace_keras(train), EventKind.LOSS_CALL)
    assert call["head"] == head


def test_a_graph_that_adds_a_bias_to_one_unit_has_an_affine_head_too(trace_keras):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    trace = trace_keras(lambda: model.fit(np.ones((8, 4)), np.ones(8), batch_size=4, verbose=0))
    [call] = payloads(trace, EventKind.LOSS_CALL)
    assert call["head"] == "affine"


def test_operations_that_move_values_are_passed():
    loss = keras.losses.MeanSquaredError()
    facts = facts_in_a_graph("tanh", loss, lambda prediction: tf.reshape(prediction, [-1, 1]))
    assert (facts.head, facts.head_width) == ("tanh", 1)


def unit_by_norm(x, axis):
    return x / tf.maximum(tf.norm(x, axis=axis, keepdims=True), 1e-6)


def unit_but_for_zeros(x, axis):
    square = tf.reduce_sum(x * x, axis=axis, keepdims=True)
    root = tf.sqrt(tf.maximum(square, 1e-30))
    return x / tf.maximum(tf.where(square == 0.0, 0.0, root), 1e-6)


def rms_norm(x):
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), 1, keepdims=True) + 1e-6)


def similarities(x):
    return keras.ops.normalize(x) @ tf.transpose(keras.ops.normalize(x))


@pytest.mark.parametrize(
    "unit", [keras.ops.normalize, tf.math.l2_normalize, unit_by_norm, unit_but_for_zeros]
)
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_cosines_with_a_scale_are_known_in_a_graph(unit, margin):
    def cosines(given):
        cosine = unit(given, axis=-1) @ unit(tf.constant(1.0, shape=(3, 5)), axis=0)
        further = tf.cos(tf.acos(tf.clip_by_value(cosine, -1.0, 1.0)) + margin)
        return 16.0 * (cosine + tf.one_hot([0, 1], 5) * (further - cosine))

    assert facts_in_a_graph(None, keras.losses.MeanSquaredError(), cosines).head == "cosine"


@pytest.mark.parametrize(
    "product",
    [
        lambda given: keras.ops.normalize(given) @ tf.ones((3, 5)),
        lambda given: rms_norm(given) @ tf.transpose(rms_norm(given)),
        lambda given: similarities(given) + given[:, :1],
    ],
)
def test_products_that_are_no_cosines_alone_are_not_named(product):
    facts = facts_in_a_graph(None, keras.losses.MeanSquaredError(), lambda x: 16.0 * product(x))
    assert facts.head is None


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(("activation", "doubled"), [("softmax", True), (None, False)])
def test_logits_that_come_out_of_a_softmax_themselves_are_known(activation, doubled, eagerly):
    layer, loss = keras.layers.Dense(3, activation), keras.losses.CategoricalCrossentropy()
    layer.build((None, 4))
    found = []

    def step(inputs):
        prediction = keras.layers.Softmax()(layer(inputs))
        found.append(loss_facts(loss, prediction))

    (step if eagerly else tf.function(step))(tf.zeros((2, 4)))
    assert (found[0].hidden_logits, found[0].is_doubled) == (True, doubled)


def cross_entropy(target, prediction):
    return -tf.reduce_sum(target * tf.math.log(prediction), axis=-1)


def test_a_function_of_the_program_is_not_taken_for_the_one_whose_name_it_has():
    loss = keras.losses.get(cross_entropy)
    assert name_of(loss) == "own_cross_entropy"
    assert name_of(keras.losses.get("mse")) == "mean_squared_error"


def test_an_eager_tensor_does_not_say_what_made_it():
    assert loss_facts(keras.losses.MeanSquaredError(), tf.zeros((2, 3))).head is None


@pytest.mark.parametrize(
    ("name", "takes_logits", "recorded"),
    [
        ("sparse_categorical_crossentropy", True, "cross_entropy"),
        ("sparse_categorical_crossentropy", False, "sparse_categorical_crossentropy"),
        ("binary_crossentropy", True, "binary_cross_entropy_with_logits"),
        ("mean_squared_error", False, "mse_loss"),
        ("kl_divergence", False, "kl_div"),
        ("own_loss", False, "own_loss"),
    ],
)
def test_a_loss_has_one_name_in_training_and_in_evaluation(name, takes_logits, recorded):
    assert recorded_name(name, takes_logits) == recorded


def losses_of_a_loop(run, loss, output):
    """The loss functions that are recorded of an eager loop with this loss."""
    with tracing(run, framework="keras") as recorder:
        layer = keras.layers.Dense(3, activation=output)
        optimizer = keras.optimizers.SGD(0.1)
        for _ in range(2):
            with tf.GradientTape() as tape:
                value = tf.reduce_mean(loss(layer(tf.ones((2, 4)))))
            weights = layer.trainable_variables
            optimizer.apply(tape.gradient(value, weights), weights)
    assert recorder.failure is None
    trace = Trace.open(run)
    calls = payloads(trace, EventKind.LOSS_CALL)
    return [(call["function"], call["classes"], call["file"]) for call in calls], trace.batches


@pytest.mark.parametrize(
    ("kind", "labels", "recorded"),
    [
        ("softmax", [[1.0, 0, 0], [0, 0, 1]], "cross_entropy"),
        ("sparse_softmax", [0, 2], "cross_entropy"),
        ("sigmoid", [[1.0, 0, 0], [0, 1, 0]], "binary_cross_entropy_with_logits"),
    ],
)
def test_losses_of_tensorflow_itself_are_seen_with_what_they_are_given(
    tmp_path, kind, labels, recorded
):
    def loss(prediction):
        function = getattr(tf.nn, f"{kind}_cross_entropy_with_logits")
        return function(labels=tf.constant(labels), logits=prediction)

    calls, batches = losses_of_a_loop(tmp_path / "run", loss, "softmax")
    assert calls == [(recorded, 3, __file__)]
    assert batches[0].row_sum_max == pytest.approx(1.0)


def test_what_a_loss_of_keras_calls_inside_is_no_loss_of_its_own(tmp_path):
    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return tf.nn.sigmoid_cross_entropy_with_logits(y_true, y_pred)

    def loss(prediction):
        return Own(name="own")(tf.zeros((2, 3)), prediction)

    calls, _ = losses_of_a_loop(tmp_path / "run", loss, None)
    assert [function for function, _, _ in calls] == ["own"]


@pytest.mark.parametrize(
    ("module", "name", "settings", "recorded"),
    [
        (keras.losses, "mean_squared_error", {}, "mse_loss"),
        (keras.losses, "binary_crossentropy", {}, "binary_cross_entropy"),
        (keras.losses, "categorical_crossentropy", {"from_logits": True}, "cross_entropy"),
        (tf.keras.losses, "mse", {}, "mse_loss"),
        (tf.keras.losses, "MAE", {}, "l1_loss"),
        (tf.keras.losses, "binary_crossentropy", {}, "binary_cross_entropy"),
    ],
)
def test_the_functions_of_keras_are_seen_where_the_program_calls_them(
    tmp_path, module, name, settings, recorded
):
    def loss(prediction):
        target = tf.constant([[1.0, 0, 0], [0, 1, 0]])
        return getattr(module, name)(target, prediction, **settings)

    calls, batches = losses_of_a_loop(tmp_path / "run", loss, None)
    assert calls == [(recorded, 3, __file__)]
    assert batches[0].target_mean == pytest.approx(1 / 3)


def test_a_function_of_keras_may_be_told_without_a_keyword_that_it_is_given_logits(tmp_path):
    def loss(prediction):
        return keras.losses.binary_crossentropy(tf.zeros((2, 3)), prediction, True)

    calls, _ = losses_of_a_loop(tmp_path / "run", loss, None)
    assert [function for function, _, _ in calls] == ["binary_cross_entropy_with_logits"]


def test_a_function_that_compile_is_given_is_saved_as_without_tracing(tmp_path):
    def config():
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", keras.losses.mean_squared_error)
        return model.get_compile_config()["loss"]

    bare = config()
    with tracing(tmp_path / "run", framework="keras"):
        assert config() == bare


@pytest.mark.parametrize("exchanged", [True, False])
def test_targets_given_for_predictions_are_known_in_a_graph(tmp_path, exchanged):
    with tracing(tmp_path / "run", framework="keras") as recorder:
        layer, optimizer = keras.layers.Dense(3, activation="softmax"), keras.optimizers.SGD(0.1)
        loss = keras.losses.CategoricalCrossentropy()

        @tf.function
        def step(inputs, targets):
            with tf.GradientTape() as tape:
                both = (targets, layer(inputs))
                value = loss(*both[::-1] if exchanged else both)
            weights = layer.trainable_variables
            optimizer.apply(tape.gradient(value, weights), weights)

        for _ in range(2):
            step(tf.ones((2, 4)), tf.eye(3)[:2])
    assert recorder.failure is None
    [call] = [e.payload for e in Trace.open(tmp_path / "run").events_of(EventKind.LOSS_CALL)]
    assert call["exchanged"] is exchanged


@pytest.mark.parametrize(
    ("settings", "weights", "masked"),
    [
        ({}, None, False),
        ({"mask_zero": True}, None, True),
        ({}, np.ones((4, 3), "float32"), True),
    ],
)
def test_a_mask_and_weights_are_told_of(trace_keras, settings, weights, masked):
    def train():
        table = keras.layers.Embedding(9, 4, **settings)
        model = keras.Sequential([keras.layers.Input((3,)), table, keras.layers.Dense(5)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=False)
        ids = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6], [7, 0, 0]])
        model.fit(ids, ids % 5, sample_weight=weights, epochs=2, verbose=0)

    [call] = payloads(trace_keras(train), EventKind.LOSS_CALL)
    assert call["masked"] is masked


@pytest.mark.parametrize("given", [{"class_weight": {0: 1.0, 1: 9.0}}, {}], ids=["class", "none"])
def test_a_loss_whose_examples_fit_weights_says_so(trace_keras, given):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    inputs, labels = np.ones((8, 4), "float32"), np.array([0, 1] * 4)

    def train():
        model.fit(inputs, labels, batch_size=4, verbose=0, **given)

    [call] = payloads(trace_keras(train), EventKind.LOSS_CALL)
    assert call["weighted"] is bool(given)
