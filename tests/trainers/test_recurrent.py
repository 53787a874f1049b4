import math

import torch
from torch import Tensor, nn

from trainers.common.memory import Memory
from trainers.common.recurrent import LstmBody

STEPS, ROWS, FEATURES, SIZE = 9, 5, 3, 4


def _body() -> LstmBody:
    torch.manual_seed(0)
    return LstmBody((FEATURES, 6), SIZE, 2, activation="tanh", last_gain=1.0)


def _sequence(idle_share: float = 0.0) -> tuple[Tensor, Memory, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(STEPS, ROWS, FEATURES, generator=generator)
    begins = torch.rand(STEPS, ROWS, generator=generator) < 0.2
    idle = torch.rand(STEPS, ROWS, generator=generator) < idle_share
    return features, Memory(*torch.randn(2, ROWS, SIZE, generator=generator)), begins, idle


def _at_once(body: LstmBody, features: Tensor, memory: Memory, begins: Tensor, idle: Tensor | None) -> Tensor:
    """The outputs of a sequence, and last something made of what is remembered at its end."""
    outputs, trace = body.unroll(features, memory, begins, idle)
    return torch.cat((outputs, body.last(trace.hidden[-1:] + trace.cell[-1:])))


def _step_by_step(body: LstmBody, features: Tensor, memory: Memory, begins: Tensor, idle: Tensor) -> Tensor:
    """The same by single steps, differentiated by torch itself."""
    outputs = []
    for now, begin, stay in zip(features, begins, idle, strict=True):
        memory = memory.forgotten(begin)
        output, new = body.step(now, memory)
        memory = memory.where(stay, new)
        outputs.append(output)
    return torch.stack([*outputs, body.last(memory.hidden + memory.cell)])


def test_a_step_is_torchs_lstm_cell() -> None:
    body, (features, memory, _, _) = _body(), _sequence()
    cell = nn.LSTMCell(6, SIZE)
    # ours: input, forget, output, candidate; torch's: input, forget, candidate, output
    order = torch.arange(4 * SIZE).view(4, SIZE)[[0, 1, 3, 2]].flatten()
    with torch.no_grad():
        cell.weight_ih.copy_(body.driven.weight[order])
        cell.weight_hh.copy_(body.recurrent.weight[order])
        cell.bias_ih.copy_(body.driven.bias[order])
        cell.bias_hh.zero_()
    output, new = body.step(features[0], memory)
    hidden, state = cell(body.encoder(features[0]), tuple(memory))
    torch.testing.assert_close(tuple(new), (hidden, state))
    torch.testing.assert_close(output, body.last(hidden))


def test_a_sequence_equals_its_steps_values_and_gradients() -> None:
    for idle_share in (0.0, 0.3):
        body, (features, memory, begins, idle) = _body(), _sequence(idle_share)
        inputs = [features, *memory]
        for tensor in inputs:
            tensor.requires_grad_()
        weight = torch.randn(STEPS + 1, ROWS, 2)
        results = []
        for outputs in (
            _at_once(body, features, memory, begins, idle if idle_share else None),
            _step_by_step(body, features, memory, begins, idle),
        ):
            gradients = torch.autograd.grad((outputs * weight).sum(), [*inputs, *body.parameters()])
            results.append((outputs, *gradients))
        torch.testing.assert_close(*results)


def test_what_was_remembered_is_told_with_its_gradient() -> None:
    body, (features, memory, begins, _) = _body(), _sequence()
    _, trace = body.unroll(features, memory, begins)
    parameters = [body.recurrent.weight, body.driven.weight]
    by_sequence = torch.autograd.grad((trace.cell[-1] + trace.hidden[-1]).sum(), parameters)
    for t in range(STEPS):
        _, memory = body.step(features[t], memory.forgotten(begins[t]))
        torch.testing.assert_close(tuple(trace.at(t)), tuple(memory))
    torch.testing.assert_close(by_sequence, torch.autograd.grad((memory.cell + memory.hidden).sum(), parameters))


def test_nothing_passes_from_one_episode_to_the_next() -> None:
    body, (features, memory, begins, _) = _body(), _sequence()
    begins[:] = False
    begins[4] = True
    features.requires_grad_()
    outputs, _ = body.unroll(features, memory, begins)
    (gradient,) = torch.autograd.grad(outputs[4:].sum(), features)
    assert gradient[:4].abs().max() == 0.0
    assert gradient[4:].abs().min() > 0.0
    anew, _ = body.unroll(features[4:], Memory.empty(ROWS, SIZE), begins[4:])
    torch.testing.assert_close(outputs[4:], anew)


def test_a_pause_leaves_the_memory_as_it_was() -> None:
    body, (features, memory, begins, _) = _body(), _sequence()
    begins[:] = False
    idle = torch.zeros_like(begins)
    idle[2:5] = True
    _, trace = body.unroll(features, memory, begins, idle)
    for t in (2, 3, 4):
        assert torch.equal(trace.hidden[t], trace.hidden[1])
        assert torch.equal(trace.cell[t], trace.cell[1])
    _, without = body.unroll(torch.cat((features[:2], features[5:])), memory, begins[:6])
    torch.testing.assert_close(tuple(trace.at(-1)), tuple(without.at(-1)))


def test_it_remembers_at_first() -> None:
    body = _body()
    gates = body.driven.bias.detach()[SIZE : 2 * SIZE]
    assert gates.sigmoid().min() > 1 / (1 + math.exp(-0.99))
    square = body.recurrent.weight[:SIZE] @ body.recurrent.weight[:SIZE].t()
    torch.testing.assert_close(square.detach(), torch.eye(SIZE), atol=1e-5, rtol=0)
