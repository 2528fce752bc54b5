"""mx.debug_nans: the first NaN or infinity, with its operation, line, lane and pass."""

import inspect
import threading

import mlx.core as mx
import numpy as np
import pytest


def root_sum(x):
    y = mx.sqrt(x)
    return mx.sum(y)


LINE = inspect.getsourcelines(root_sum)[1] + 1


def error_of(fun, *args):
    with mx.debug_nans(), pytest.raises(FloatingPointError) as caught:
        mx.eval(fun(*args))
    return str(caught.value)


def test_forward():
    error = error_of(root_sum, mx.array([[1.0, 2.0], [3.0, -4.0]]))
    assert "Sqrt gave nan at index (1,1)" in error
    assert f"{__file__}:{LINE} in root_sum" in error and "pass: forward" in error and "lane" not in error


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64, mx.complex128])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_every_dtype_and_value(dtype, value):
    zero = mx.zeros((70,), dtype)
    numerator = mx.zeros((70,), dtype) if np.isnan(value) else mx.full((70,), np.sign(value), dtype)
    error = error_of(lambda: numerator / mx.concatenate([zero[:-1] + 1, zero[:1]])[::-1])
    assert "Divide gave" in error and "at index (0,)" in error
    assert ("nan" in error) if np.isnan(value) or dtype in (mx.complex64, mx.complex128) else (f"gave {value}" in error)


def test_backward_has_the_line_of_the_forward_operation():
    error = error_of(mx.grad(root_sum), mx.array([1.0, 0.0]))
    assert "gave inf at index (1,)" in error
    assert f"{__file__}:{LINE} in root_sum; pass: vjp" in error


def test_jvp():
    error = error_of(lambda x: mx.jvp(root_sum, [x], [mx.ones_like(x)]), mx.array([1.0, 0.0]))
    assert f"{__file__}:{LINE} in root_sum; pass: jvp" in error


def test_vmap_names_the_lane():
    x = mx.array([[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]])
    error = error_of(mx.vmap(root_sum), x)
    assert "at index (2,1), lane 2 of 3" in error and "pass: vmap" in error and f":{LINE} " in error
    error = error_of(mx.vmap(root_sum, in_axes=1), x)
    assert ", lane 1 of 2" in error


def test_vmap_of_grad_and_grad_of_vmap():
    x = mx.array([[1.0, 2.0], [3.0, 4.0], [5.0, 0.0]])
    error = error_of(mx.vmap(mx.grad(root_sum)), x)
    assert "lane 2 of 3" in error and f":{LINE} in root_sum; pass: vmap(vjp)" in error
    error = error_of(mx.grad(lambda x: mx.sum(mx.vmap(root_sum)(x))), x)
    assert "lane 2 of 3" in error and "pass: vjp(vmap)" in error


def test_nested_lanes():
    x = np.ones((2, 3, 4), np.float32)
    x[1, 2, 3] = -1
    error = error_of(mx.vmap(mx.vmap(root_sum)), mx.array(x))
    assert "index (1,2,3), lane 1 of 2, 2 of 3" in error


@pytest.mark.parametrize("wrap", [mx.checkpoint, mx.custom_function], ids=["checkpoint", "custom_function"])
def test_inside_functions(wrap):
    error = error_of(mx.grad(wrap(root_sum)), mx.array([1.0, 0.0]))
    assert f":{LINE} in root_sum; pass: vjp" in error
    error = error_of(wrap(root_sum), mx.array([1.0, -1.0]))
    assert "Sqrt gave nan" in error and f":{LINE} in root_sum" in error


def test_only_the_first_is_blamed():
    x = mx.array([0.0, 1.0])
    error = error_of(lambda: mx.exp(mx.log(x) * 2) / x)
    assert "Log gave -inf" in error


def test_infinities_that_are_given_are_no_error():
    mask = mx.array([True, False])
    with mx.debug_nans():
        scores = mx.where(mask, mx.array([1.0, 2.0]), mx.array(-float("inf")))
        weights = mx.softmax(scores) if hasattr(mx, "softmax") else mx.exp(scores - mx.max(scores))
        mx.eval(weights, mx.array([float("nan")]) * 2, mx.full((3,), float("inf")) + 1)
    assert weights.tolist() == [1.0, 0.0]


def test_operand_memory_is_not_reused_before_it_is_checked():
    with mx.debug_nans():
        x = mx.array(np.array([np.inf] * 1000, np.float32)) + 0  # not blamed: its operand is infinite
        y = x * 2
        del x
        z = y - y  # nan from infinity
        del y
        mx.eval(z)
    assert np.isnan(np.array(z)).all()


def test_operations_from_before_the_block_are_checked_without_a_line():
    y = mx.log(mx.array(0.0))
    with mx.debug_nans(), pytest.raises(FloatingPointError, match="Line: unknown"):
        mx.eval(y)


def test_off_outside_of_the_block_and_when_disabled():
    with mx.debug_nans():
        pass
    assert mx.log(mx.array(0.0)).item() == -float("inf")
    with mx.debug_nans(False):
        assert mx.log(mx.array(0.0)).item() == -float("inf")


def test_nested_blocks_and_reuse():
    block = mx.debug_nans()
    with block:
        with block:
            pass
        with pytest.raises(FloatingPointError):
            mx.log(mx.array(0.0)).item()
    assert mx.log(mx.array(0.0)).item() == -float("inf")


def test_the_error_stays_with_the_array_and_the_rest_is_computed():
    with mx.debug_nans():
        bad, good = mx.log(mx.array(0.0)), mx.log(mx.array(1.0))
        with pytest.raises(FloatingPointError):
            mx.eval(bad, good)
        assert good.item() == 0
    with pytest.raises(FloatingPointError):
        bad.item()


def test_views_and_other_dtypes_pass():
    with mx.debug_nans():
        x = mx.arange(12).reshape(3, 4).T
        y = mx.broadcast_to(mx.sin(x.astype(mx.float32))[::2], (5, 2, 3))
        mx.eval(x, y, mx.sort(y, axis=0), mx.argmax(y))


def test_other_threads():
    errors = []

    def work():
        try:
            mx.eval(mx.log(mx.zeros((3,))))
        except FloatingPointError as error:
            errors.append(str(error))

    with mx.debug_nans():
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(errors) == 4 and all("in work" in error for error in errors)


def test_results_are_the_same_bits():
    x = mx.array(np.random.default_rng(0).random((64, 65)).astype(np.float32))

    def f(x):
        return mx.sum(mx.tanh(x @ x.T) * mx.exp(-x[:, :64]), axis=1)

    expected = np.array(f(x))
    with mx.debug_nans():
        checked = np.array(f(x))
    assert expected.tobytes() == checked.tobytes()


# --- slopes that the zero rule hides ---

def hidden(x):
    y = mx.sqrt(x)
    return mx.cos(y)


HIDDEN_LINE = inspect.getsourcelines(hidden)[1] + 1


@pytest.mark.parametrize("name, fun, place", [
    ("plain", lambda x: hidden(x).sum(), "index (1,)"),
    ("moved", lambda x: hidden(x.reshape(2, 1).T)[0].sum(), "index (0,1)"),
    ("summed", lambda x: (hidden(mx.broadcast_to(x, (2, 2))) * 2).sum(), "index (0,1)"),
    ("multiplied", lambda x: mx.sum(mx.sqrt(x) * 0), "index (0,)"),
    ("matrix product", lambda x: (mx.sqrt(x) @ mx.array([[0.0], [0.0]])).sum(), "index (0,)"),
    ("logarithm of an overflow", lambda x: mx.log(mx.expm1(x * 1000)).sum(), None),
])
def test_hidden_slopes(name, fun, place):
    error = error_of(mx.grad(fun), mx.array([1.0, 0.0]) if name not in ("multiplied", "matrix product") else mx.array([0.0, 1.0]))
    if place:
        assert f"hid an infinite or NaN slope behind a slope of 0 at {place}" in error and "pass: vjp" in error


def test_a_hidden_slope_has_its_line_and_lane():
    error = error_of(mx.vmap(mx.grad(lambda x: hidden(x).sum())), mx.array([[1.0, 2.0], [3.0, 0.0]]))
    assert "ZeroDivide hid" in error and f":{HIDDEN_LINE} in hidden; pass: vmap(vjp)" in error and "lane 1 of 2" in error


@pytest.mark.parametrize("fun", [
    lambda x: mx.where(x > 0, mx.sqrt(x), 0).sum(),
    lambda x: mx.where(x > 0, mx.cos(mx.sqrt(x)), 0).sum(),
    lambda x: mx.cos(mx.where(x > 0, mx.sqrt(x), 0)).sum(),
    lambda x: mx.sqrt(x)[:1].sum(),
    lambda x: mx.sqrt(x)[mx.array([0, 0])].sum(),
    lambda x: (mx.where(x > 0, mx.log(x), 0) @ mx.ones((2, 2))).sum(),
    lambda x: mx.where((x > 0)[:, None], mx.sqrt(x)[:, None] @ mx.ones((1, 2)), 0).sum(),
    lambda x: mx.max(mx.sqrt(x)),
    lambda x: mx.sort(mx.sqrt(x))[1],
    lambda x: (mx.where(x > 0, mx.sqrt(x), 0) ** 2 * 3).sum(),
    lambda x: mx.concatenate([mx.sqrt(x), x])[mx.array([0, 2, 3])].sum(),
    lambda x: mx.softmax(mx.where(x > 0, mx.log(x), -mx.inf)).sum(),
    lambda x: mx.logsumexp(mx.where(x > 0, mx.log(x), -mx.inf)),
], ids=range(13))
def test_masks_explain_zeros(fun):
    x = mx.array([4.0, 0.0])
    for derivative in (mx.grad(fun), lambda x: mx.grad(lambda x: mx.grad(fun)(x)[0])(x)):
        expected = derivative(x).tolist()
        with mx.debug_nans():
            try:
                got = derivative(x).tolist()
            except FloatingPointError as error:
                assert " hid " not in str(error)
                assert "Log gave -inf" in str(error)  # a value, which is told as ever
                continue
        assert got == expected
