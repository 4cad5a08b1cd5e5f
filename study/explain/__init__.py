"""Why the arms came out as they did: theory, gradients, the three terms' parts, convergence and training length."""
