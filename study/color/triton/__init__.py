"""Colour conversions and soft encoding as Triton kernels for graphics cards; `study.color.dispatch` loads them."""
