"""Losses and their gradients as Triton kernels for graphics cards; `study.color.dispatch` loads them."""
