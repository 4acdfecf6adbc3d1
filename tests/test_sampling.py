import pytest

from nntrace.sampling import SAMPLE_LIMIT, Sampling
from nntrace.schema import Role


def test_everything_is_wanted_by_default():
    assert all(Sampling().wants("encoder.0", role) for role in Role)
    assert Sampling().is_whole


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("encoder", "encoder", True),
        ("encoder", "encoder.0.weight", True),
        ("encoder", "encoders.0", False),
        ("encoder.*", "encoder.0", True),
        ("encoder.*", "encoder", False),
        ("*.norm", "blocks.3.norm.weight", True),
        ("blocks.[01]", "blocks.1.mlp", True),
        ("blocks.[01]", "blocks.12.mlp", False),
        ("Encoder", "encoder", False),
        ("encoder", "encoder/dense/kernel", True),
        ("encoder/dense", "encoder/dense/kernel", True),
        ("encoder", "encoders/dense", False),
    ],
)
def test_a_pattern_holds_for_a_module_and_everything_inside_it(pattern, path, wanted):
    assert Sampling(include=(pattern,)).wants(path, Role.PARAM) is wanted
    assert Sampling(exclude=(pattern,)).wants(path, Role.PARAM) is not wanted


def test_what_is_excluded_is_out_even_when_it_is_included():
    sampling = Sampling(include=("encoder",), exclude=("*.dropout",))
    assert sampling.wants("encoder.0", Role.ACTIVATION)
    assert not sampling.wants("encoder.dropout", Role.ACTIVATION)


@pytest.mark.parametrize("role", [Role.INPUT, Role.TARGET, Role.OUTPUT])
def test_patterns_are_about_modules_not_about_the_batch(role):
    assert Sampling(include=("encoder",)).wants("input.0", role)


def test_kinds_are_the_only_roles_sampled():
    sampling = Sampling(kinds=("update", "input"))
    wanted = {role for role in Role if sampling.wants("layer", role)}
    assert wanted == {Role.UPDATE, Role.INPUT}
    assert not sampling.is_whole


def test_a_common_model_is_sampled_at_the_full_limit():
    assert Sampling().limit(0) == Sampling().limit(700) == SAMPLE_LIMIT


@pytest.mark.parametrize("sites", [1000, 3000, 10_000])
def test_the_samples_of_a_step_take_no_more_memory_in_a_larger_model(sites):
    assert sites * Sampling().limit(sites) <= 3 << 20


def test_exact_reads_everything():
    assert Sampling(exact=True).limit(10**6) > 10**15
