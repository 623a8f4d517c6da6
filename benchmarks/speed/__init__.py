"""The networks, their quantized forms and the timing table of ``benchmarks/peers.py``."""
