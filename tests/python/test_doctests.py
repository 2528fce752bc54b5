"""The examples of every op in the registry and of every docstring, run as doctests."""

import doctest

import mlx.core as mx
import pytest

import samples


@pytest.mark.parametrize("op", samples.registry(), ids=lambda op: op["name"])
def test_example(op):
    test = doctest.DocTestParser().get_doctest(op["example"] + "\n", {"mx": mx}, op["name"], None, None)
    assert test.examples, "an example begins with >>>"
    said = []
    result = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


def documented():
    """Names in mx with an example in their docstring."""
    for name in dir(mx):
        text = getattr(getattr(mx, name), "__doc__", None)
        if isinstance(text, str) and ">>>" in text:
            yield name


@pytest.mark.parametrize("name", list(documented()))
def test_docstring(name):
    test = doctest.DocTestParser().get_doctest(getattr(mx, name).__doc__, {"mx": mx}, name, None, None)
    said = []
    result = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


def test_a_wrong_example_is_seen():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1
