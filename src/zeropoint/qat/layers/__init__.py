"""The layers of a prepared network. Start with ``layer`` (what they share), then ``convolution``."""
