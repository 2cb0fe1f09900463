"""``weft quantize``: the weights of chosen layers in 4 bits, with the scales that cost the network's results least."""
