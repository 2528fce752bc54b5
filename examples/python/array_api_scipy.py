"""SciPy on our arrays: special functions, statistics, signals and clusters, as far as SciPy is written for the Array API.

With SCIPY_ARRAY_API=1 SciPy's functions ask their arguments which library they belong to. The results are our arrays.

    python examples/python/array_api_scipy.py
"""

import functools
import os

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported

from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
from scipy import cluster, fft, integrate, ndimage, signal, spatial, special, stats  # noqa: E402


def close(name: str, function: Callable[[Any], Any], data: np.ndarray[Any, np.dtype[np.float64]], tolerance: float = 1e-9) -> None:
    """The function of our array is our array, and that of NumPy's array."""
    x = mx.array(data, dtype=mx.float64)
    ours, theirs = function(x), function(data)
    assert isinstance(ours, mx.array), (name, type(ours))
    a, b = np.array(ours), np.asarray(theirs)
    assert a.shape == b.shape, (name, a.shape, b.shape)
    error = np.abs(a - b).max() / np.abs(b).max()
    print(f"{name:26s} {ours.dtype!s:22s} {a.shape!s:12s} {error:.0e} from NumPy's")
    assert error < tolerance, name


def main() -> None:
    rng = np.random.default_rng(0)
    data = rng.random((6, 64)) + 0.1

    for name in ("gammaln", "expit", "erf", "i0e", "ndtr", "entr"):
        close(f"special.{name}", getattr(special, name), data)
    close("special.logsumexp", lambda x: special.logsumexp(x, axis=1), data)
    close("special.softmax", lambda x: special.softmax(x, axis=0), data)
    close("special.xlogy", lambda x: special.xlogy(x, x + 1), data)

    for name in ("skew", "kurtosis", "gmean", "hmean", "sem", "variation", "entropy", "zscore"):
        close(f"stats.{name}", functools.partial(getattr(stats, name), axis=1), data)
    close("stats.ttest_ind", lambda x: stats.ttest_ind(x[:3], x[3:] * 1.2, axis=1).pvalue, data)
    close("stats.pearsonr", lambda x: stats.pearsonr(x[:3], x[3:], axis=1).statistic, data)
    close("stats.jarque_bera", lambda x: stats.jarque_bera(x, axis=1).pvalue, data)

    close("fft.rfft", lambda x: fft.rfft(x, axis=1), data)
    close("signal.hilbert", lambda x: signal.hilbert(x, axis=1), data)
    close("signal.fftconvolve", lambda x: signal.fftconvolve(x, x[:, ::-1], mode="same"), data)
    close("signal.detrend", signal.detrend, data)
    close("ndimage.gaussian_filter", lambda x: ndimage.gaussian_filter(x, 1.0), data)

    close("integrate.trapezoid", lambda x: integrate.trapezoid(x, axis=1), data)
    close("cluster.vq.whiten", cluster.vq.whiten, data)
    close("cluster.vq.kmeans2", lambda x: cluster.vq.kmeans2(x, x[:2], minit="matrix")[0], data)
    close("spatial Rotation", lambda x: spatial.transform.Rotation.from_rotvec(x[:, :3]).as_matrix(), data)

    # What SciPy computes with our functions can be differentiated: the derivative of logsumexp is softmax.
    x = mx.array(data[0], dtype=mx.float64)
    gradient = mx.grad(special.logsumexp)(x)
    print("grad(special.logsumexp) - special.softmax:", f"{mx.abs(gradient - special.softmax(x)).max().item():.0e}")
    assert mx.allclose(gradient, special.softmax(x))


if __name__ == "__main__":
    main()
