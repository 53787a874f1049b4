"""Where tensors live."""

from typing import Literal

import torch

Device = Literal["cpu", "cuda", "auto"]


def torch_device(name: Device) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one.

    Raises:
        ValueError: if there is no such device here.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ValueError("device is cuda, but torch finds no NVIDIA GPU here; choose cpu or auto")
    return torch.device("cuda" if there and name != "cpu" else "cpu")
