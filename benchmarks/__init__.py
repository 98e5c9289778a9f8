"""Speed and scale beside a peer, in one run on one machine; `python -m benchmarks` writes
benchmarks/README.md.
"""

from pathlib import Path


def processor():
    """Name of the processor and the widest vectors that it has."""
    facts = Path("/proc/cpuinfo").read_text()
    name = facts.split("model name")[1].split(":")[1].split("\n")[0].strip()
    family = facts.split("cpu family")[1].split(":")[1].split("\n")[0].strip()
    vectors = "AVX-512" if "avx512f" in facts else "AVX2" if "avx2" in facts else "no AVX2"
    return f"{name}, family {family}, {vectors}"
