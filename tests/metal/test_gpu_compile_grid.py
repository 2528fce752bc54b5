"""The compile grid on mx.gpu: compiled is equal to eager to the bit on the device itself."""

from test_compile_grid import test_compiled_gradients_are_equal_to_the_bit, test_compiled_is_equal_to_the_bit  # noqa: F401
