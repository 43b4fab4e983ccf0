"""What the processor can multiply exactly.

An x86 processor without VNNI adds pairs of 8-bit products in saturating 16-bit
arithmetic (`PMADDUBSW`), which clips the sums of unsigned activations and signed
weights. ONNX Runtime avoids that with unsigned weights, exactly and 1.7 times slower,
so it is asked to do so only where it is needed.
"""

import platform
from pathlib import Path
from typing import Final

CPU_DESCRIPTION: Final = Path("/proc/cpuinfo")
"""Where Linux lists the processor's flags."""

_VNNI_FLAGS: Final = frozenset({"avx512_vnni", "avx_vnni"})
_X86_NAMES: Final = frozenset({"x86_64", "amd64", "i386", "i686", "x86"})


def multiplies_signed_bytes_exactly(
    machine: str | None = None, description: Path = CPU_DESCRIPTION
) -> bool:
    """Return whether int8 weights give exact sums; false when that is not known.

    Args:
        machine: processor family as `platform.machine` names it; None for this one.
        description: file with the processor's flags.
    """
    if (machine or platform.machine()).lower() not in _X86_NAMES:
        return True
    try:
        text = description.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return not _VNNI_FLAGS.isdisjoint(value.split())
    return False
