"""What a machine without Linux's files, and torch without oneDNN, make of the devices."""

import torch

from lib.networks import devices


def test_where_linux_does_not_tell_of_the_processor_single_precision_is_taken(monkeypatch):
    monkeypatch.setattr(devices.Path, "exists", lambda _: False)
    monkeypatch.setattr(torch.ops, "mkldnn", None)  # as in builds of torch for macOS
    assert devices.best_precision("cpu") == "fp32"
