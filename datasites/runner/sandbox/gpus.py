"""The graphics cards of this machine, for owners who let studies use them (`limits.gpus`).

CUDA talks to its driver through device files; nothing else of the machine is shown for it. A card is shared memory of
a kind that nobody here clears: what one process leaves on it is the driver's affair.
"""

from __future__ import annotations

from pathlib import Path

_DEV = Path("/dev")
FACTS = ("/proc/driver/nvidia", "/sys/bus/pci/devices", "/sys/devices/system/node")  # the driver's library looks there


def devices() -> tuple[Path, ...]:
    """NVIDIA's device files (`/dev/nvidia0`, `nvidiactl`, `nvidia-uvm` and the like), and folders of them."""
    return tuple(sorted(_DEV.glob("nvidia*")))
