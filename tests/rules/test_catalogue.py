import sys

from nntrace.rules import Rule, all_rules
from nntrace.rules.settings import SETTINGS

# The names of each family, in the order of their numbers: a code is never given out twice.
CATALOGUE = {
    "ACT": """
        activation-std-out-of-band vanishing-activations exploding-activations dead-units
        saturated-units activation-mean-shift constant-activation missing-nonlinearity
        attention-collapse dropout-too-strong dropout-before-batchnorm batchnorm-mismatch
        collapsed-representation wrong-axis
    """,
    "DAT": """
        constant-input repeated-batch fixed-batch-order unnormalised-input feature-scale-disparity
        nonfinite-input outlier-input duplicate-examples unshuffled-labels class-imbalance
        class-count-mismatch constant-target target-scale train-eval-input-shift
        pretrained-input-mismatch tiny-batch-with-batchnorm huge-batch channel-layout
        integer-input-to-float-layer first-batch-only flipped-masks padding-read-last
        labels-shifted-twice
    """,
    "DST": """
        parameters-diverge same-data-on-ranks gradients-not-synchronised straggler first-bad-rank
        rank-lost
    """,
    "GRD": """
        vanishing-gradient exploding-gradient no-gradient zero-gradient gradient-spike
        gradients-accumulate clipping-always-active noisy-gradient opposing-updates
        gradient-depth-imbalance gradient-into-target
    """,
    "INI": """
        constant-weights init-scale signal-at-init output-bias-ignores-prior saturated-at-init
    """,
    "LOS": """
        loss-at-init softmax-before-cross-entropy nll-without-log-softmax sigmoid-logit-mismatch
        head-cannot-reach-targets loss-and-head-disagree loss-not-decreasing loss-diverging
        loss-spike loss-oscillating stuck-at-chance constant-predictions overfitting underfitting
        still-improving loss-terms-imbalanced loss-clamped loss-broadcast loss-scales-with-batch
        suspiciously-easy impossible-loss metric-task-mismatch eval-on-one-batch
        overwhelming-regularisation
    """,
    "NUM": """
        nonfinite-forward nonfinite-loss nonfinite-backward nonfinite-update overflow-ahead
        gradient-underflow scaler-skips-steps nonfinite-hidden early-nan
    """,
    "PAR": """
        bias-drift weight-divergence weight-collapse non-gaussian-weights dead-filters
        redundant-bias noisy-first-layer
    """,
    "PRB": """
        cannot-overfit-one-batch ignores-input mixes-examples sees-the-future wrong-backward
        labels-carry-no-signal lr-range not-reproducible more-capacity-does-not-help
    """,
    "RUN": """
        training-in-eval-mode eval-in-train-mode no-seed no-optimizer-step unused-layer
        shared-batchnorm data-bound memory-growth step-time-drift accelerator-idle never-evaluated
        run-too-short train-eval-inconsistent metric-watched-upside-down nothing-loaded
    """,
    "UPD": """
        update-ratio-high update-ratio-low update-imbalance parameter-not-in-optimizer
        frozen-layer unchanged-parameter lr-too-high lr-too-low lr-decayed-early
        scheduler-unit-mistaken optimizer-recreated weight-decay-dominates update-lost-to-rounding
        decay-on-norm-or-bias adam-with-l2 non-gaussian-updates step-before-schedule
        setting-without-effect
    """,
}
CODES = {
    f"{family}{number:02}": name
    for family, names in CATALOGUE.items()
    for number, name in enumerate(names.split(), 1)
}


def test_every_code_of_the_catalogue_is_a_rule_of_that_name() -> None:
    assert {code: rule.name for code, rule in all_rules().items()} == CODES


def test_no_threshold_has_the_name_of_a_setting_of_all_rules() -> None:
    names = {t.name for rule in all_rules().values() for t in rule.thresholds}
    assert not names & set(SETTINGS)


def test_in_a_module_the_rules_of_a_family_stand_in_the_order_of_their_codes() -> None:
    declared = {(rule.module, rule.code[:3]) for rule in all_rules().values()}
    for module, family in declared:
        values = vars(sys.modules[module]).values()
        rules = [value for value in values if isinstance(value, Rule) and value.module == module]
        codes = [rule.code for rule in rules if rule.code.startswith(family)]
        assert codes == sorted(codes), module
