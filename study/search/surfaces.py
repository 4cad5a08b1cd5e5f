"""A smooth surface through the scores of candidates: a Gaussian process over the searched settings."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg import cho_solve
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

SCALE = (1e-2, 1e2)  # of the surface's variance, in units of the variance of the scores
LENGTH = (0.1, 10.0)  # over which scores change, in units of the searched range
NOISE = (1e-6, 1.0)  # variance beyond what the paired seeds explain, in units of the variance of the scores


class Surface:
    """Scores as a function of settings: y = f(x) + noise, with f a Gaussian process.

    The kernel is Matern 5/2 with one length scale per setting (Rasmussen and Williams 2006, chapter 4). Length
    scales, variance and further noise are those of the largest likelihood.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, variance: np.ndarray) -> None:
        """x: (n, d) settings, each 0..1. y: (n,) scores. variance: (n,) known variance of the noise; 0 if unknown."""
        self.mean, self.scale = float(y.mean()), float(y.std()) or 1.0
        smooth = ConstantKernel(1.0, SCALE) * Matern(np.full(x.shape[1], 0.5), LENGTH, nu=2.5)
        self.fit = GaussianProcessRegressor(
            smooth + WhiteKernel(1e-4, NOISE),
            alpha=variance / self.scale**2 + 1e-8,
            n_restarts_optimizer=1,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a setting without effect has no length scale
            self.fit.fit(x, (y - self.mean) / self.scale)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise beyond the known one."""
        return float(np.sqrt(self.fit.kernel_.k2.noise_level)) * self.scale

    def predict(self, x: np.ndarray) -> np.ndarray:
        """f at (m, d) settings, (m,)."""
        return self.fit.predict(x) * self.scale + self.mean

    def error_of_difference(self, x: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Standard error (m,) of f(x) - f(other): sqrt(Var f(x) + Var f(other) - 2 Cov(f(x), f(other))).

        x: (m, d). other: (d,).
        """
        kernel, known = self.fit.kernel_.k1, self.fit.X_train_
        here, there = kernel(x, known), kernel(other[None], known)
        solved = cho_solve((self.fit.L_, True), here.T)
        variance = kernel.diag(x) - np.einsum("ij,ji->i", here, solved)
        covariance = kernel(x, other[None])[:, 0] - (there @ solved)[0]
        own = kernel.diag(other[None]) - (there @ cho_solve((self.fit.L_, True), there.T))[0]
        return np.sqrt(np.maximum(variance + own - 2 * covariance, 0)) * self.scale
