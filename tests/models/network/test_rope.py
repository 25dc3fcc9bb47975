"""Rotary positions: what is turned, what stays, and what may be overwritten."""

import pytest
import torch

from samkit.models.network.rope import rotary_turns, turn


def turned_by_hand(x: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """In real numbers, pair by pair."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * turns.real - odd * turns.imag, even * turns.imag + odd * turns.real], dim=-1).flatten(-2)


@pytest.mark.parametrize("gradients", [True, False])
def test_the_first_tokens_are_turned_and_the_others_stay(gradients):
    turns = rotary_turns(2, 3, 8, theta=100.0)
    x = torch.randn(2, 1, 10, 8)
    wanted = torch.cat([turned_by_hand(x[..., :6, :], turns), x[..., 6:, :]], dim=-2)
    with torch.set_grad_enabled(gradients):
        given = x.clone()
        found = turn(given, turns)
    torch.testing.assert_close(found, wanted)
    # Training needs what it was given; elsewhere a copy of 28,000 remembered tokens is saved.
    assert torch.equal(given, x) == gradients


def test_half_precision_is_turned_in_full_and_rounded_once():
    turns = rotary_turns(4, 4, 16, theta=10000.0)
    x = torch.randn(1, 16, 16).bfloat16()
    with torch.no_grad():
        found = turn(x.clone(), turns)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, turned_by_hand(x.float(), turns).bfloat16())


def test_a_column_turns_the_first_half_of_the_pairs_and_a_row_the_second():
    turns = rotary_turns(2, 3, 8, theta=100.0, step_yx=(2.0, 1.0)).angle().unflatten(0, (2, 3))
    torch.testing.assert_close(turns[1, 0], torch.tensor([0.0, 0.0, 2.0, 0.2]))
    torch.testing.assert_close(turns[0, 2], torch.tensor([2.0, 0.2, 0.0, 0.0]))
