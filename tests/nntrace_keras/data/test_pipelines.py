import pytest
import tensorflow as tf
from nntrace_keras.data.pipelines import taken

ROWS = tf.data.Dataset.range(100)


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        (ROWS.batch(8).take(3), (24, 100)),
        (ROWS.map(lambda row: row + 1).take(32).shuffle(32).batch(8).prefetch(1), (32, 100)),
        (ROWS.batch(8).take(99), (100, 100)),
        (ROWS.batch(8), None),
        (ROWS.shuffle(100).batch(8).take(3), None),
        (ROWS.skip(20).take(10).batch(8), None),
        (ROWS.batch(8).take(3).repeat(), None),
        (ROWS.filter(lambda row: row > 3).take(9), None),
        ("no pipeline", None),
    ],
)
def test_what_take_leaves_of_a_source(dataset, told):
    assert taken(dataset) == told
