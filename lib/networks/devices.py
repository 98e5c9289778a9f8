"""Where networks are trained: the device, its name, the precision that it is fast in."""

from pathlib import Path

import torch


def device_name(device="auto"):
    """ "cuda" where there is one, else "cpu"; any other name is passed on."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def best_precision(device):
    """ "bf16" where products in bfloat16 run in hardware, else "fp32"."""
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if _has_bf16_unit() and torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"


def _has_bf16_unit():
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(unit in flags.read_text() for unit in ("avx512_bf16", "amx_bf16"))


def label(device):
    """The name of a device for the records."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"
