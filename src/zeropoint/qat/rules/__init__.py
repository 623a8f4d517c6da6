"""What becomes of each operator, one rule an ATen call; ``zeropoint.qat.patterns`` lists them."""
