"""One file per quantization scheme of the literature."""
