"""Speed and scale beside a peer, in one run on one machine; `python -m benchmarks` writes
benchmarks/README.md.
"""
