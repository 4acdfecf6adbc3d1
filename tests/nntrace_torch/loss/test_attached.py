"""Gradients that flow into a bootstrapped target or an advantage are found in a loss's graph."""

import pytest
import torch
from nntrace_torch.loss.attached import attached
from torch import nn
from torch.distributions import Categorical, Normal
from torch.nn import functional

EXAMPLES, ACTIONS = 6, 3
STATES, REWARDS = torch.randn(EXAMPLES, 4), torch.randn(EXAMPLES)
GOES_ON = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
TAKEN = torch.tensor([0, 2, 1, 1, 0, 2])


def found(loss):
    return [what for what, _, _ in attached(loss)]


@pytest.fixture
def critic():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


@pytest.fixture
def actor():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, ACTIONS))


def squared(one, other):
    return (one - other).pow(2).mean()


@pytest.mark.parametrize(
    "error", [functional.mse_loss, functional.smooth_l1_loss, functional.huber_loss, squared]
)
def test_a_target_of_rewards_and_the_next_value_is_found_while_it_is_attached(critic, error):
    value, target = critic(STATES).squeeze(1), critic(STATES.flip(0)).squeeze(1)
    target = REWARDS + 0.9 * target * GOES_ON
    assert found(error(value, target)) == ["target"]
    assert found(0.5 * error(target, value)) == ["target"]
    assert found(error(value, target.detach())) == []


def test_a_target_of_the_best_next_action_is_found(actor):
    value = actor(STATES).gather(1, TAKEN[:, None]).squeeze(1)
    target = REWARDS + GOES_ON * 0.9 * actor(STATES.flip(0)).max(1).values
    assert found(functional.smooth_l1_loss(value, target)) == ["target"]


def test_outputs_for_two_views_may_both_learn(critic):
    one, other = critic(STATES), critic(STATES + 0.1)
    assert found(functional.mse_loss(one, other)) == []
    assert found(functional.mse_loss(2.0 * one + REWARDS[:, None], 2.0 * other + 1.0)) == []
    mixed = 0.3 * critic(STATES.flip(0)) + 0.7 * other
    assert found(functional.mse_loss(one, mixed)) == []


def normalised(advantage):
    return (advantage - advantage.mean()) / (advantage.std() + 1e-8)


def bootstrapped(critic):
    return REWARDS + 0.9 * critic(STATES.flip(0)).squeeze(1) - critic(STATES).squeeze(1)


def plain(critic):
    return REWARDS - critic(STATES).squeeze(1)


@pytest.mark.parametrize("prepared", [lambda advantage: advantage, normalised])
@pytest.mark.parametrize("advantage", [plain, bootstrapped])
def test_an_advantage_weighs_a_likelihood_without_a_gradient(actor, critic, advantage, prepared):
    chances = Categorical(logits=actor(STATES)).log_prob(TAKEN)
    weight = prepared(advantage(critic))
    assert found(-(chances * weight).mean() + 0.01 * chances.mean()) == ["weight"]
    assert found(-(chances * weight.detach()).mean()) == []


def test_an_advantage_in_a_clipped_objective_is_found(actor, critic):
    chances = actor(STATES).log_softmax(1).gather(1, TAKEN[:, None]).squeeze(1)
    ratio = (chances - chances.detach()).exp()
    weight = plain(critic)
    clipped = torch.min(ratio * weight, ratio.clamp(0.8, 1.2) * weight)
    assert set(found(-clipped.mean())) == {"weight"}


def test_an_advantage_of_single_steps_and_a_density_is_found(actor, critic):
    def losses(of_value):
        for state, reward in zip(STATES, REWARDS, strict=True):
            chance = Normal(actor(state)[0], 0.5).log_prob(torch.tensor(0.3))
            yield -chance * (reward - of_value(critic(state)))

    assert set(found(torch.stack(list(losses(lambda value: value))).sum())) == {"weight"}
    assert found(torch.stack(list(losses(lambda value: value.item()))).sum()) == []


def test_an_error_that_is_weighed_by_what_the_model_expects_of_it_is_no_advantage(critic):
    spread = nn.Linear(4, 1)(STATES)
    error = REWARDS[:, None] - critic(STATES)
    assert found((error.pow(2) * (-spread).exp() + spread).mean()) == []
    gate = nn.Linear(4, 1)(STATES).sigmoid()
    assert found((gate * (REWARDS[:, None] - critic(STATES))).mean()) == []


def test_an_entropy_and_a_divergence_are_no_advantage(actor):
    logits = actor(STATES)
    log_probs, probs = logits.log_softmax(1), logits.softmax(1)
    teacher = torch.randn(EXAMPLES, ACTIONS).log_softmax(1)
    assert found((probs * log_probs).sum(1).mean()) == []
    assert found((log_probs.exp() * (log_probs - teacher)).sum(1).mean()) == []
    assert found((probs * (teacher - log_probs)).sum(1).mean()) == []


def test_powers_of_data_are_no_errors(critic):
    assert found((torch.full((EXAMPLES, 1), 2.0) ** critic(STATES)).mean()) == []


def test_old_probabilities_of_the_policy_as_it_is_now_make_a_ratio_of_one(actor):
    def ratio(old):
        return (Categorical(logits=actor(STATES)).log_prob(TAKEN) - old).exp()

    now = Categorical(logits=actor(STATES)).log_prob(TAKEN)
    clipped = torch.min(ratio(now) * REWARDS, ratio(now).clamp(0.8, 1.2) * REWARDS)
    assert set(found(-clipped.mean())) == {"ratio"}
    assert found(-(ratio(now.detach()) * REWARDS).mean()) == []


def test_a_ratio_of_two_policies_is_none_of_one_and_the_same(actor):
    other = nn.Linear(4, ACTIONS)
    chances = [net(STATES).log_softmax(1)[:, 0] for net in (actor, other)]
    assert found(-((chances[0] - chances[1]).exp() * REWARDS).mean()) == []
