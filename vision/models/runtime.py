"""Where and in which number format networks run: decided here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Runtime:
    """A torch device and the type of the convolutions on it."""

    device: torch.device
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.device.type}, {str(self.dtype).removeprefix('torch.')}"


def pick_runtime(device: str | None = None) -> Runtime:
    """CUDA, then Apple's GPU, then the CPU, unless `device` names one; bfloat16 where the hardware computes in it."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    chosen = torch.device(device)
    if chosen.type == "cuda":
        return Runtime(chosen, torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
    if chosen.type == "cpu":
        features = torch.cpu.get_capabilities()
        fast = bool(features.get("avx512_bf16") or features.get("amx_bf16") or features.get("bf16"))
        return Runtime(chosen, torch.bfloat16 if fast else torch.float32)
    return Runtime(chosen, torch.float32)
