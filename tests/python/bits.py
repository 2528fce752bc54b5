"""What results computed in different ways are compared by: their bits; and one operation at a time."""

import mlx.core as mx
import numpy as np


def evaluated(x):
    mx.eval(x)
    return x


def bits(x):
    """NaNs all alike: which of two operands' goes on is not promised."""
    x = np.array(x.astype(mx.float32) if x.dtype == mx.bfloat16 else x)
    if x.dtype.kind == "c":
        x = np.ascontiguousarray(x).view(x.real.dtype)
    return np.where(x != x, np.array(np.nan, x.dtype), x).tobytes() if x.dtype.kind == "f" else x.tobytes()
