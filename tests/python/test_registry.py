"""The registry is complete: every op has a summary, an example, a sample, a reference, a reason where it has no derivative, and
a Python function that documents itself."""

import pytest

import references
import samples

OPS = samples.registry()
ids = [op["name"] for op in OPS]
each_op = pytest.mark.parametrize("op", OPS, ids=ids)


def test_names_are_unique():
    assert len(set(ids)) == len(ids)


@each_op
def test_is_described(op):
    assert op["summary"] and op["summary"].endswith("."), "a summary is a sentence"
    assert op["example"], "an example, run as a doctest"
    assert op["family"]
    assert (op["differentiable"] == "yes") == (op["reason"] is None), "a reason where, and only where, there is no derivative"


@each_op
def test_has_a_sample(op):
    found = samples.samples_of(op["name"])
    assert found, "add rows to sample_rows.py"
    for sample in found:
        assert sample.dtypes


@each_op
def test_has_a_reference(op):
    if op["arity"]:
        assert references.reference_of(op["name"]), "add the op to references.py"
    elif not op["name"].startswith("random."):  # random numbers: test_random.py
        assert any(sample.reference for sample in samples.samples_of(op["name"]))


# How an op is called where that is not a function of its name.
SYNTAX = {"gather": "x[i]", "scatter": "x[i] = v", "scatter_add": "x.at[i].add(v)",
          "scatter_prod": "x.at[i].multiply(v)", "scatter_max": "x.at[i].maximum(v)", "scatter_min": "x.at[i].minimum(v)"}


@each_op
def test_is_a_function_with_its_docstring(op):
    if op["name"] in SYNTAX:
        return
    function = samples.public(op["name"])
    assert op["summary"] in function.__doc__


def test_every_row_names_an_op():
    assert not samples.stale_rows()


def test_ids_are_unique():
    names = [sample.id for sample in samples.samples()]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
