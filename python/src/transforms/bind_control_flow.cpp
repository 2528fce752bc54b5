// cond, while_loop, fori_loop and scan: Python functions recorded once, over trees of arrays.
#include "mlx_core/control_flow.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/runtime/shown.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/control_calls.h"
#include "python/src/transforms/loop_state.h"

namespace mlx::python {

namespace {

using core::fail;

void check_callable(const char* op, const char* name, nb::handle fun) {
  if (!PyCallable_Check(fun.ptr())) {
    fail<core::TypeError>(op, name, " is a ", class_name(fun), "; it should be a callable.");
  }
}

// Calls attempt(dtypes of the numbers in a tree) until these are settled, and what the functions change of the arrays
// around them: a number written for an array of some other dtype adopts that.
template <typename Attempt>
nb::object settled(const char* op, Attempt&& attempt) {
  constexpr int most_attempts = 64; // each finds something that no earlier one has found
  NumberDtypes adopted;
  for (int i = 0; i < most_attempts; ++i) {
    try {
      return attempt(adopted);
    } catch (const NumberAdopts& number) {
      adopted[number.leaf] = number.dtype;
    } catch (const WritesFound&) { // it is known now
    }
  }
  fail(op,
      "the function changes other arrays in place each time that it is called. It is called to be recorded: what "
      "it does must not depend on how often.");
}

// The operands of a cond: its functions are given the caller's own handles, which hold placeholders meanwhile.
class Operands {
 public:
  explicit Operands(nb::handle operands) : tree_(operands, leaves_) {
    for (const nb::object& leaf : leaves_) {
      if (is_array(leaf) && std::none_of(handles_.begin(), handles_.end(), [&](nb::handle h) { return h.is(leaf); })) {
        handles_.push_back(leaf);
      }
    }
  }
  std::vector<array> arrays() const {
    std::vector<array> arrays;
    for (nb::handle handle : handles_) {
      arrays.push_back(read(handle));
    }
    return arrays;
  }
  nb::object given(HandleLog& log, const std::vector<array>& in) const {
    for (size_t i = 0; i < handles_.size(); ++i) {
      log.give(handles_[i].ptr(), in[i]);
    }
    return tree_.build(leaves_);
  }

 private:
  Leaves leaves_;
  Tree tree_;
  std::vector<nb::handle> handles_;
};

nb::object cond(nb::handle pred, nb::handle true_fun, nb::handle false_fun, nb::args operands) {
  check_callable("cond", "true_fun", true_fun);
  check_callable("cond", "false_fun", false_fun);
  array chosen = scalar_of("cond", "pred", pred);
  Operands arguments(operands);
  OuterWrites writes; // of either branch; the other one leaves these handles as they are
  std::vector<OuterSlot> slots;
  const nb::handle functions[] = {true_fun, false_fun};
  return settled("cond", [&](NumberDtypes& adopted) {
    std::optional<ArrayLeaves> model;
    std::vector<array> model_arrays, model_writes;
    writes.start();
    OuterSlots around{true_fun, false_fun};
    auto take = [&](HandleLog& log, std::vector<array>& out) {
      writes.take(log, out);
      for (const OuterSlot& slot : slots) {
        nb::object now = slot.now();
        out.push_back(read(is_array(now) ? now : slot.before));
      }
    };
    auto if_true = [&](const std::vector<array>& in) {
      HandleLog log;
      OuterSlots::Run run(around, slots, log);
      nb::object returned = called(true_fun, arguments.given(log, in));
      writes.ran(log);
      model.emplace("cond", "what true_fun returned", returned);
      adopted.resize(model->count());
      model_arrays = model->arrays(adopted);
      around.find(log, slots);
      writes.find(log);
      take(log, model_writes);
      run.done();
      std::vector<array> out(model_arrays);
      out.insert(out.end(), model_writes.begin(), model_writes.end());
      return out;
    };
    auto if_false = [&](const std::vector<array>& in) {
      HandleLog log;
      OuterSlots::Run run(around, slots, log);
      nb::object returned = called(false_fun, arguments.given(log, in));
      writes.ran(log);
      ArrayLeaves output("cond", "what false_fun returned", returned);
      output.order_like(*model);
      std::vector<array> out = output.arrays(dtypes_of(model_arrays));
      check_like("cond", *model, model_arrays, adopted, output, out,
          "Reshape or cast one of them: which branch is taken is known only when the result is evaluated.");
      bool again = around.find(log, slots);
      if (writes.find(log) || again) {
        throw WritesFound{};
      }
      take(log, out);
      run.done();
      for (size_t i = 0; i < model_writes.size(); ++i) {
        const array &a = model_writes[i], &b = out[model_arrays.size() + i];
        if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) {
          nb::handle changed = i < writes.count() ? writes.handle(i) : slots[i - writes.count()].before;
          fail("cond", "in-place changes leave ", name_of_outer(changed, functions), ", with shape ", a.shape(),
              " and dtype ", a.dtype(), " behind true_fun, but with shape ", b.shape(), " and dtype ", b.dtype(),
              " behind false_fun. Cast what is written: which branch is taken is known only "
              "when the result is evaluated.");
        }
      }
      return out;
    };
    std::vector<array> results = core::cond(chosen, if_true, if_false, arguments.arrays());
    std::span<const array> all(results);
    nb::object output = model->build(all.first(model->count()));
    all = all.subspan(model->count());
    for (size_t i = 0; i < slots.size(); ++i) {
      slots[i].put(nb::steal(wrap(all[writes.count() + i])));
    }
    writes.bind(all);
    return output;
  });
}

// A condition as core::while_loop records it.
array proceeds_of(nb::handle cond_fun, nb::handle state) {
  return scalar_of("while_loop", "what cond_fun returned", called(cond_fun, nb::make_tuple(state)));
}

// Where the condition changes arrays in place: it is called once, and then behind each turn as a part of it.
nb::object tested_loop(
    nb::handle cond_fun, nb::handle body_fun, nb::handle init, NumberDtypes& adopted, LoopWrites& writes) {
  auto test = [&](nb::handle state) {
    array proceeds = proceeds_of(cond_fun, state);
    if (proceeds.ndim() != 0) {
      fail("while_loop", "cond_fun returned an array of shape ", proceeds.shape(),
          "; it should return a scalar. Reduce it with mx.all or mx.any.");
    }
    return core::astype(proceeds, core::bool_);
  };
  PendingWrites pending;
  nb::object result;
  OuterSlots around{cond_fun, body_fun};
  try {
    HandleLog log{HandleLog::Frameless()};
    array first = test(init);
    LoopState state("while_loop", init, adopted, writes, {body_fun, cond_fun});
    auto body = [&](const std::vector<array>& in) {
      return state.turn(
          {in.begin(), in.end() - 1}, "what body_fun returned",
          [&](const nb::object& given) { return called(body_fun, nb::make_tuple(given)); }, test);
    };
    std::vector<array> all(state.arrays());
    all.push_back(first);
    result = state.end(core::while_loop([](const std::vector<array>& in) { return in.back(); }, body, all));
    pending.take(log);
  } catch (...) {
    around.restore_all();
    throw;
  }
  pending.apply();
  return result;
}

nb::object while_loop(nb::handle cond_fun, nb::handle body_fun, nb::handle init) {
  check_callable("while_loop", "cond_fun", cond_fun);
  check_callable("while_loop", "body_fun", body_fun);
  LoopWrites writes;
  return settled("while_loop", [&](NumberDtypes& adopted) {
    writes.outer.start();
    if (writes.condition_writes) {
      return tested_loop(cond_fun, body_fun, init, adopted, writes);
    }
    LoopState state("while_loop", init, adopted, writes, {body_fun, cond_fun});
    auto proceeds = [&](const std::vector<array>& in) {
      return state.condition(in, [&](nb::handle given) { return proceeds_of(cond_fun, given); });
    };
    auto body = [&](const std::vector<array>& in) {
      std::vector<array> next = state.turn(in, "what body_fun returned",
          [&](const nb::object& given) { return called(body_fun, nb::make_tuple(given)); });
      return next.empty() ? in : next;
    };
    // A loop may have no state but the arrays around it, which are not known at first.
    bool nothing = state.arrays().empty();
    std::vector<array> out = core::while_loop(proceeds, body, nothing ? std::vector<array>{array(0)} : state.arrays());
    if (nothing) {
      fail("while_loop",
          "init holds no array, and body_fun changes none in place; a loop without a state either does "
          "nothing or never ends.");
    }
    return state.end(out);
  });
}

nb::object fori_loop(nb::handle lower, nb::handle upper, nb::handle body_fun, nb::handle init) {
  check_callable("fori_loop", "body_fun", body_fun);
  auto known = [](nb::handle bound) { return PyIndex_Check(bound.ptr()) && !is_array(bound); };
  auto number = [](const char* name, nb::handle bound) -> core::Dim {
    if (is_dim(bound.ptr())) {
      return dim_of(bound.ptr());
    }
    int64_t value = PyNumber_AsSsize_t(bound.ptr(), PyExc_OverflowError);
    if (value == -1 && PyErr_Occurred()) {
      if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        fail<core::TypeError>("fori_loop", name, " is ", shown(bound), ", which is out of range.");
      }
      throw nb::python_error();
    }
    return value;
  };
  LoopWrites writes;
  return settled("fori_loop", [&](NumberDtypes& adopted) {
    writes.outer.start();
    LoopState state("fori_loop", init, adopted, writes, {body_fun});
    auto body = [&](const array& i, const std::vector<array>& in) {
      return state.turn(in, "what body_fun returned", [&](const nb::object& given) {
        nb::object index = nb::steal(wrap(i));
        return called(body_fun, nb::make_tuple(index, given));
      });
    };
    if (known(lower) && known(upper)) {
      return state.end(core::fori_loop(number("lower", lower), number("upper", upper), body, state.arrays()));
    }
    array from = scalar_of("fori_loop", "lower", lower), to = scalar_of("fori_loop", "upper", upper);
    return state.end(core::fori_loop(from, to, body, state.arrays()));
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
  LoopWrites writes;
  return settled("scan", [&](NumberDtypes& adopted) {
    writes.outer.start();
    LoopState state("scan", init, adopted, writes, {f});
    std::optional<ArrayLeaves> outputs;
    auto step = [&](const std::vector<array>& carry, const std::vector<array>& x) {
      std::vector<array> ys;
      auto body = [&](const nb::object& given) {
        nb::object pair = called(f, nb::make_tuple(given, inputs.build(x)));
        bool is_pair =
            (PyTuple_Check(pair.ptr()) || PyList_Check(pair.ptr())) && PySequence_Fast_GET_SIZE(pair.ptr()) == 2;
        if (!is_pair) {
          fail<core::TypeError>("scan", "f returned a ", class_name(pair), "; it should return a pair (carry, y).");
        }
        nb::object next = nb::borrow(PySequence_Fast_GET_ITEM(pair.ptr(), 0));
        nb::object y = nb::borrow(PySequence_Fast_GET_ITEM(pair.ptr(), 1));
        outputs.emplace("scan", "the y that f returned", y);
        ys = outputs->arrays();
        return next;
      };
      std::vector<array> next = state.turn(carry, "the carry that f returned", body);
      return core::Scanned{std::move(next), std::move(ys)};
    };
    core::Scanned result = core::scan(step, state.arrays(), input_arrays, length, reverse);
    nb::object ys = outputs->build(result.ys);
    return nb::object(nb::make_tuple(state.end(result.carry), ys));
  });
}

// --- as they are called from Python: see control_calls.h ---

nb::object call_cond(nb::handle pred, nb::handle true_fun, nb::handle false_fun, nb::args operands) {
  std::vector<PyObject*> given{pred.ptr()};
  for (nb::handle operand : operands) {
    given.push_back(operand.ptr());
  }
  return control_call("cond", nb::make_tuple(true_fun, false_fun), given, [&](std::span<PyObject* const> in) {
    nb::list rest;
    for (PyObject* operand : in.subspan(1)) {
      rest.append(nb::handle(operand));
    }
    return cond(in[0], true_fun, false_fun, nb::borrow<nb::args>(nb::tuple(rest)));
  });
}

nb::object call_while_loop(nb::handle cond_fun, nb::handle body_fun, nb::handle init) {
  PyObject* given[] = {init.ptr()};
  return control_call("while_loop", nb::make_tuple(cond_fun, body_fun), given,
      [&](std::span<PyObject* const> in) { return while_loop(cond_fun, body_fun, in[0]); });
}

nb::object call_fori_loop(nb::handle lower, nb::handle upper, nb::handle body_fun, nb::handle init) {
  PyObject* given[] = {lower.ptr(), upper.ptr(), init.ptr()};
  return control_call("fori_loop", nb::make_tuple(body_fun), given,
      [&](std::span<PyObject* const> in) { return fori_loop(in[0], in[1], body_fun, in[2]); });
}

nb::object call_scan(nb::handle f, nb::handle init, nb::handle xs, std::optional<core::Dim> length, bool reverse) {
  // As text, for a recording serves one length: numbers of a call may become open.
  nb::object count = !length                 ? nb::none()
                     : length->is_symbolic() ? nb::cast(*length)
                                             : nb::str(std::to_string(static_cast<int64_t>(*length)).c_str());
  nb::object backwards = nb::bool_(reverse);
  PyObject* given[] = {init.ptr(), xs.ptr(), count.ptr(), backwards.ptr()};
  return control_call("scan", nb::make_tuple(f), given,
      [&](std::span<PyObject* const> in) { return scan(f, in[0], in[1], length, reverse); });
}

} // namespace

void bind_control_flow(nb::module_& m) {
  m.def("cond", &call_cond, nb::arg("pred"), nb::arg("true_fun"), nb::arg("false_fun"), nb::arg("operands"),
      nb::sig("def cond(pred: array | bool | int | float, true_fun: collections.abc.Callable[..., typing.Any], "
              "false_fun: collections.abc.Callable[..., typing.Any], *operands: typing.Any) -> typing.Any"),
      R"(One of two functions, chosen when the result is evaluated.

Only the branch that is taken is evaluated; in the body of a loop, of short
branches that only compute a few elements, both are, and one is chosen, which
is quicker. Where ``pred`` is known while Python runs, an ``if`` does as well.

Both functions are called once, to be recorded, with arrays that have no values
yet. Arrays that they use from around them are differentiated and batched like
operands. A derivative computes the branch again. What a branch changes in
place, of its operands or of arrays around it (``n += 1``, ``buf[i] = y``,
``d["x"] *= 2``), changes where that branch is taken.

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
        containers, shapes or dtypes, or leave an array with different ones
        that they change in place, or if one reads the value of an array.

Example:
    >>> f = lambda x: mx.cond(x > 0, mx.sqrt, mx.negative, x)
    >>> f(mx.array(4.0)), mx.grad(f)(mx.array(-3.0))
    (array(2, dtype=float32), array(-1, dtype=float32))
)");

  m.def("while_loop", &call_while_loop, nb::arg("cond_fun"), nb::arg("body_fun"), nb::arg("init").none(),
      nb::sig("def while_loop(cond_fun: collections.abc.Callable[..., typing.Any], body_fun: "
              "collections.abc.Callable[..., typing.Any], "
              "init: typing.Any) -> typing.Any"),
      R"(Repeats ``state = body_fun(state)`` while ``cond_fun(state)`` is true.

How often is decided when the result is evaluated. Both functions are called
to be recorded, with arrays that have no values yet. What they change in place
is carried on as the state is; see :func:`fori_loop`.

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
        array, or there is no array in ``init`` and ``body_fun`` changes none
        around it in place.

Example:
    >>> mx.while_loop(lambda x: x < 100, lambda x: x * 2, mx.array(3))
    array(192, dtype=int32)
)");

  m.def("fori_loop", &call_fori_loop, nb::arg("lower"), nb::arg("upper"), nb::arg("body_fun"), nb::arg("init").none(),
      nb::sig(
          "def fori_loop(lower: int | array, upper: int | array, body_fun: collections.abc.Callable[..., typing.Any], "
          "init: typing.Any) -> typing.Any"),
      R"(Repeats ``state = body_fun(i, state)`` for ``lower <= i < upper``.

The body is called to be recorded, with arrays that have no values yet: once,
or once more when it changes arrays around it in place (``n += 1``,
``buf[i] = y``, ``self.total += x``). These are carried from turn to turn as
the state is, and the caller's arrays hold the last values afterwards. Their
shapes and dtypes stay. The state that a body is given may be changed in place,
too: as in a loop of Python, its arrays are the caller's in the first turn, and
later on where the body returns them. A variable, element or attribute that held
an array and is bound to another one like it (``n = n + 1``) is carried
likewise; what is put anywhere else (``items.append(x)``) has no value after the
loop: return such arrays, or let :func:`scan` stack them.

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
        containers, shapes or dtypes than it was given, or changes those of an
        array around it, or it reads the value of an array. Whatever the
        error, no array has changed.

Example:
    >>> mx.fori_loop(1, 5, lambda i, x: x * i, mx.array(1))
    array(24, dtype=int32)
    >>> squares = mx.zeros(4)
    >>> def body(i, x):
    ...     squares[i] = x * x
    ...     return x + 1
    >>> mx.fori_loop(0, 4, body, mx.array(1.0)), squares
    (array(5, dtype=float32), array([1, 4, 9, 16], dtype=float32))
)");

  m.def("scan", &call_scan, nb::arg("f"), nb::arg("init").none(), nb::arg("xs") = nb::none(),
      nb::arg("length") = nb::none(), nb::arg("reverse") = false,
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

but ``f`` is called to be recorded, with arrays that have no values yet, and the
scan is one node of the graph however long it is. What it changes in place is
carried on as the carry is; see :func:`fori_loop`. Reverse mode keeps
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
        out["called_iterations"] = counts.called_iterations;
        out["stored_carries"] = counts.stored_carries;
        out["body_evaluations"] = counts.body_evaluations;
        return out;
      },
      nb::sig("def _control_flow_stats() -> dict[str, int]"),
      "Counts: branches of cond evaluated by themselves so far; iterations that were run as lists of kernel calls; of "
      "the last "
      "reverse pass through a while_loop, the most carries\n"
      "it stored at a time beside the first, and how often it ran the body.");
}

} // namespace mlx::python
