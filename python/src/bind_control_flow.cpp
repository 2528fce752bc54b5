// cond, while_loop, fori_loop and scan: Python functions recorded once, over trees of arrays.
#include "mlx_core/control_flow.h"

#include "mlx_core/error.h"
#include "python/src/array_leaves.h"
#include "python/src/bind_transforms.h"
#include "python/src/descent.h"
#include "python/src/traced_call.h"

namespace mlx::python {

namespace {

using core::fail;

nb::object called(nb::handle fun, const nb::object& args) {
  Descent guard(" in a transformed function");
  nb::object result = nb::steal(PyObject_CallObject(fun.ptr(), args.ptr()));
  if (!result.is_valid()) {
    throw nb::python_error();
  }
  return result;
}

void check_callable(const char* op, const char* name, nb::handle fun) {
  if (!PyCallable_Check(fun.ptr())) {
    fail<core::TypeError>(op, name, " is a ", class_name(fun), "; it should be a callable.");
  }
}

array scalar_of(const char* op, const char* name, nb::handle value) {
  if (std::optional<array> a = try_to_array(value.ptr(), {})) {
    return *a;
  }
  fail<core::TypeError>(op, name, " is a ", class_name(value), "; it should be a scalar array or a number.");
}

NumberDtypes dtypes_of(const std::vector<array>& arrays) {
  NumberDtypes dtypes;
  for (const array& a : arrays) {
    dtypes.push_back(a.dtype());
  }
  return dtypes;
}

// Calls attempt(dtypes of the numbers in a tree) until these are settled: a number written for an array of some other
// dtype adopts that.
template <typename Attempt>
nb::object with_adopted_dtypes(Attempt&& attempt) {
  NumberDtypes adopted;
  for (;;) {
    try {
      return attempt(adopted);
    } catch (const NumberAdopts& number) {
      adopted[number.leaf] = number.dtype;
    }
  }
}

// What a loop carries from one iteration to the next.
class State {
 public:
  State(const char* op, nb::handle init, NumberDtypes& adopted)
      : op_(op), leaves_(op, "init", init), adopted_(adopted) {
    adopted_.resize(leaves_.count());
    arrays_ = leaves_.arrays(adopted_);
  }
  const std::vector<array>& arrays() const { return arrays_; }
  nb::object build(std::span<const array> arrays) const { return leaves_.build(arrays); }
  // The arrays of a state that a function returned.
  std::vector<array> next(const char* name, nb::handle returned) const {
    ArrayLeaves after(op_, name, returned);
    after.order_like(leaves_);
    std::vector<array> arrays = after.arrays(dtypes_of(arrays_));
    check_like(op_, leaves_, arrays_, adopted_, after, arrays,
        "Reshape or cast one of them: every iteration takes and returns the same.");
    return arrays;
  }

 private:
  const char* op_;
  ArrayLeaves leaves_;
  NumberDtypes& adopted_;
  std::vector<array> arrays_;
};

nb::object cond(nb::handle pred, nb::handle true_fun, nb::handle false_fun, nb::args operands) {
  check_callable("cond", "true_fun", true_fun);
  check_callable("cond", "false_fun", false_fun);
  array chosen = scalar_of("cond", "pred", pred);
  std::vector<array> arrays;
  ArrayTree arguments(operands, arrays);
  return with_adopted_dtypes([&](NumberDtypes& adopted) {
    std::optional<ArrayLeaves> model;
    std::vector<array> model_arrays;
    auto if_true = [&](const std::vector<array>& in) {
      model.emplace("cond", "what true_fun returned", called(true_fun, arguments.build(in)));
      adopted.resize(model->count());
      model_arrays = model->arrays(adopted);
      return model_arrays;
    };
    auto if_false = [&](const std::vector<array>& in) {
      ArrayLeaves output("cond", "what false_fun returned", called(false_fun, arguments.build(in)));
      output.order_like(*model);
      std::vector<array> out = output.arrays(dtypes_of(model_arrays));
      check_like("cond", *model, model_arrays, adopted, output, out,
          "Reshape or cast one of them: which branch is taken is known only when the result is evaluated.");
      return out;
    };
    return model->build(core::cond(chosen, if_true, if_false, arrays));
  });
}

nb::object while_loop(nb::handle cond_fun, nb::handle body_fun, nb::handle init) {
  check_callable("while_loop", "cond_fun", cond_fun);
  check_callable("while_loop", "body_fun", body_fun);
  return with_adopted_dtypes([&](NumberDtypes& adopted) {
    State state("while_loop", init, adopted);
    auto proceeds = [&](const std::vector<array>& in) {
      nb::object result = called(cond_fun, nb::make_tuple(state.build(in)));
      return scalar_of("while_loop", "what cond_fun returned", result);
    };
    auto body = [&](const std::vector<array>& in) {
      return state.next("what body_fun returned", called(body_fun, nb::make_tuple(state.build(in))));
    };
    return state.build(core::while_loop(proceeds, body, state.arrays()));
  });
}

nb::object fori_loop(nb::handle lower, nb::handle upper, nb::handle body_fun, nb::handle init) {
  check_callable("fori_loop", "body_fun", body_fun);
  auto known = [](nb::handle bound) { return PyIndex_Check(bound.ptr()) && !is_array(bound); };
  auto number = [](nb::handle bound) -> core::Dim {
    if (is_dim(bound.ptr())) {
      return dim_of(bound.ptr());
    }
    int64_t value = PyNumber_AsSsize_t(bound.ptr(), PyExc_OverflowError);
    if (value == -1 && PyErr_Occurred()) {
      throw nb::python_error();
    }
    return value;
  };
  return with_adopted_dtypes([&](NumberDtypes& adopted) {
    State state("fori_loop", init, adopted);
    auto body = [&](const array& i, const std::vector<array>& in) {
      nb::object index = nb::steal(wrap(i));
      return state.next("what body_fun returned", called(body_fun, nb::make_tuple(index, state.build(in))));
    };
    if (known(lower) && known(upper)) {
      return state.build(core::fori_loop(number(lower), number(upper), body, state.arrays()));
    }
    array from = scalar_of("fori_loop", "lower", lower), to = scalar_of("fori_loop", "upper", upper);
    return state.build(core::fori_loop(from, to, body, state.arrays()));
  });
}

nb::object scan(nb::handle f, nb::handle init, nb::handle xs, std::optional<core::Dim> length, bool reverse) {
  check_callable("scan", "f", f);
  ArrayLeaves inputs("scan", "xs", xs);
  std::vector<array> input_arrays = inputs.arrays();
  for (size_t i = 0; i < input_arrays.size(); ++i) {
    const Shape& shape = input_arrays[i].shape();
    if (shape.empty()) {
      fail("scan", inputs.name(i), " is a scalar; scan goes along the first axis of every array in xs.");
    }
    if (length && !(shape[0] == *length)) {
      fail("scan", inputs.name(i), " has shape ", shape, ", but the length of the scan is ", *length,
          i ? " (that of " + inputs.name(0) + ")." : ".");
    }
    length = shape[0];
  }
  return with_adopted_dtypes([&](NumberDtypes& adopted) {
    State state("scan", init, adopted);
    std::optional<ArrayLeaves> outputs;
    auto step = [&](const std::vector<array>& carry, const std::vector<array>& x) {
      nb::object pair = called(f, nb::make_tuple(state.build(carry), inputs.build(x)));
      bool is_pair =
          (PyTuple_Check(pair.ptr()) || PyList_Check(pair.ptr())) && PySequence_Fast_GET_SIZE(pair.ptr()) == 2;
      if (!is_pair) {
        fail<core::TypeError>("scan", "f returned a ", class_name(pair), "; it should return a pair (carry, y).");
      }
      nb::object next = nb::borrow(PySequence_Fast_GET_ITEM(pair.ptr(), 0));
      nb::object y = nb::borrow(PySequence_Fast_GET_ITEM(pair.ptr(), 1));
      outputs.emplace("scan", "the y that f returned", y);
      return core::Scanned{state.next("the carry that f returned", next), outputs->arrays()};
    };
    core::Scanned result = core::scan(step, state.arrays(), input_arrays, length, reverse);
    return nb::object(nb::make_tuple(state.build(result.carry), outputs->build(result.ys)));
  });
}

} // namespace

void bind_control_flow(nb::module_& m) {
  m.def("cond", &cond, nb::arg("pred"), nb::arg("true_fun"), nb::arg("false_fun"), nb::arg("operands"),
      nb::sig("def cond(pred: array | bool | int | float, true_fun: collections.abc.Callable[..., typing.Any], "
              "false_fun: collections.abc.Callable[..., typing.Any], *operands: typing.Any) -> typing.Any"),
      R"(One of two functions, chosen when the result is evaluated.

Only the branch that is taken is evaluated. Where ``pred`` is known while
Python runs, an ``if`` does as well.

Both functions are called once, to be recorded, with arrays that have no values
yet. Arrays that they use from around them are differentiated and batched like
operands. A derivative computes the branch again.

Under :func:`vmap`, if ``pred`` differs between lanes, each branch is evaluated
if some lane takes it. Lanes that do not take it get the operands of one that
does, so that neither errors nor NaNs come from values that the branch was not
meant for.

Args:
    pred (array or number): A scalar; nonzero is true.
    true_fun (callable): Takes the operands; returns an array or a tree of
        arrays and numbers.
    false_fun (callable): The same, for when ``pred`` is zero. It returns what
        ``true_fun`` returns: the same containers, shapes and dtypes.
    *operands: Arrays, or trees of arrays and other things.

Returns:
    What the branch returns, numbers as arrays.

Raises:
    TypeError: If a function is not callable or returns something that is no
        array.
    ValueError: If ``pred`` is no scalar, if the branches return different
        containers, shapes or dtypes, or if one reads the value of an array.

Example:
    >>> f = lambda x: mx.cond(x > 0, mx.sqrt, mx.negative, x)
    >>> f(mx.array(4.0)), mx.grad(f)(mx.array(-3.0))
    (array(2, dtype=float32), array(-1, dtype=float32))
)");

  m.def("while_loop", &while_loop, nb::arg("cond_fun"), nb::arg("body_fun"), nb::arg("init").none(),
      nb::sig("def while_loop(cond_fun: collections.abc.Callable[..., typing.Any], body_fun: "
              "collections.abc.Callable[..., typing.Any], "
              "init: typing.Any) -> typing.Any"),
      R"(Repeats ``state = body_fun(state)`` while ``cond_fun(state)`` is true.

How often is decided when the result is evaluated. Both functions are called
once, to be recorded, with arrays that have no values yet.

Works under every transform. Reverse mode keeps O(log n) states of a loop of n
iterations and runs the body O(n log n) times (Griewank and Walther, Revolve,
2000). Under :func:`vmap` the loop ends with its last lane; the others keep the
state they ended with. Random numbers that the body draws without a key differ
between iterations.

Args:
    cond_fun (callable): Takes the state; returns a scalar.
    body_fun (callable): Takes the state; returns the next one, with the same
        containers, shapes and dtypes.
    init (array, number or tree): The first state. Numbers in it take the dtype
        that the body returns in their place.

Returns:
    The last state, a tree like ``init``.

Raises:
    TypeError: If a function is not callable, or the state holds something that
        is no array.
    ValueError: If the body returns other containers, shapes or dtypes than it
        was given, the condition is no scalar, a function reads the value of an
        array, or there is no array in ``init``.

Example:
    >>> mx.while_loop(lambda x: x < 100, lambda x: x * 2, mx.array(3))
    array(192, dtype=int32)
)");

  m.def("fori_loop", &fori_loop, nb::arg("lower"), nb::arg("upper"), nb::arg("body_fun"), nb::arg("init").none(),
      nb::sig(
          "def fori_loop(lower: int | array, upper: int | array, body_fun: collections.abc.Callable[..., typing.Any], "
          "init: typing.Any) -> typing.Any"),
      R"(Repeats ``state = body_fun(i, state)`` for ``lower <= i < upper``.

The body is called once, to be recorded, with arrays that have no values yet.
With Python integers as bounds this is a :func:`scan`, whose reverse mode keeps
the state of each iteration; with arrays it is a :func:`while_loop`.

Args:
    lower (int or array): The first index; an integer scalar.
    upper (int or array): Behind the last index.
    body_fun (callable): Takes the index, an int32 scalar (int64 where the
        bounds need it, and the dtype of the bounds if they are arrays), and
        the state; returns the next state, with the same containers, shapes and
        dtypes.
    init (array, number or tree): The first state. Numbers in it take the dtype
        that the body returns in their place.

Returns:
    The last state, a tree like ``init``; ``init`` itself if there is no
    iteration.

Raises:
    TypeError: If ``body_fun`` is not callable, a bound is no number, or the
        state holds something that is no array.
    ValueError: If a bound is no integer scalar, the body returns other
        containers, shapes or dtypes than it was given, or it reads the value
        of an array.

Example:
    >>> mx.fori_loop(1, 5, lambda i, x: x * i, mx.array(1))
    array(24, dtype=int32)
)");

  m.def("scan", &scan, nb::arg("f"), nb::arg("init").none(), nb::arg("xs") = nb::none(), nb::arg("length") = nb::none(),
      nb::arg("reverse") = false,
      nb::sig("def scan(f: collections.abc.Callable[..., typing.Any], init: typing.Any, xs: typing.Any = None, "
              "length: int | None = None, reverse: bool = False) -> tuple[typing.Any, typing.Any]"),
      R"(Carries a state along the first axis of arrays, and stacks what it gives on the way.

As if written

.. code-block:: python

    ys = []
    for x in xs:
        carry, y = f(carry, x)
        ys.append(y)
    return carry, mx.stack(ys)

but ``f`` is called once, to be recorded, with arrays that have no values yet,
and the scan is one node of the graph however long it is. Reverse mode keeps
the carry of each iteration and computes again what ``f`` does in between.
Random numbers that ``f`` draws without a key differ between iterations.

Args:
    f (callable): Takes the carry and one element of ``xs``; returns the next
        carry, with the same containers, shapes and dtypes, and an array or
        tree of arrays, or ``None``.
    init (array, number or tree): The first carry. Numbers in it take the dtype
        that ``f`` returns in their place.
    xs (array, tree or None): What to go along; all arrays have a first axis of
        the same length. ``None`` gives ``f`` None. Default: ``None``.
    length (int, optional): The number of iterations; needed if there are no
        ``xs``.
    reverse (bool): Begin with the last element; the ys keep the order of
        ``xs``. Default: ``False``.

Returns:
    tuple: The last carry, and a tree like the ``y`` of ``f`` with a new first
    axis in each array.

Raises:
    TypeError: If ``f`` is not callable or returns no pair, or something in the
        carry, in ``xs`` or in ``y`` is no array.
    ValueError: If lengths differ or there are none, ``f`` returns another
        carry than it was given, or reads the value of an array.

Example:
    >>> mx.scan(lambda total, x: (total + x, total * x), 0, mx.array([1, 2, 3]))
    (array(6, dtype=int32), array([0, 2, 9], dtype=int32))
)");

  m.def(
      "_control_flow_stats",
      [] {
        core::ControlFlowStatistics counts = core::control_flow_statistics();
        nb::dict out;
        out["true_branches"] = counts.true_branches;
        out["false_branches"] = counts.false_branches;
        out["stored_carries"] = counts.stored_carries;
        out["body_evaluations"] = counts.body_evaluations;
        return out;
      },
      nb::sig("def _control_flow_stats() -> dict[str, int]"),
      "Counts: branches of cond evaluated so far; of the last reverse pass through a while_loop, the most carries\n"
      "it stored at a time beside the first, and how often it ran the body.");
}

} // namespace mlx::python
