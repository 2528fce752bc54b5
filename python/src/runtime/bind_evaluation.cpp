// eval, async_eval and synchronize; how Ctrl-C stops an evaluation; and the size of a graph that is not computed yet.
#include <algorithm>
#include <map>
#include <unordered_set>

#include "mlx_core/error.h"
#include "mlx_core/eval/at_once.h"
#include "mlx_core/eval/background.h"
#include "mlx_core/eval/fork.h"
#include "mlx_core/interrupt.h"
#include "mlx_core/interruption.h"
#include "mlx_core/primitive.h"
#include "python/src/array/convert.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/runtime/exceptions.h"
#include "python/src/runtime/gil.h"
#include "python/src/runtime/short_calls.h"
#include "python/src/transforms/bind_transforms.h"

namespace mlx::python {

namespace {

// Visits the arrays in lists, tuples and dicts that hold nothing else than these and plain values, so that no code of
// the user's runs on the way. False where there is something else, or a visit says so: some may have been visited.
template <typename Visit>
bool visit_plainly(PyObject* o, Visit&& visit, int depth = 0) {
  constexpr int deepest = 64;
  PyTypeObject* type = Py_TYPE(o);
  if (type == array_type) {
    return visit(read(o));
  }
  if (depth == deepest) {
    return false;
  }
  if (type == &PyList_Type || type == &PyTuple_Type) {
    bool plain = true;
    for (Py_ssize_t i = 0; plain && i < PySequence_Fast_GET_SIZE(o); ++i) {
      plain = visit_plainly(PySequence_Fast_GET_ITEM(o, i), visit, depth + 1);
    }
    return plain;
  }
  if (type == &PyDict_Type) {
    bool plain = true;
    Py_ssize_t position = 0;
    for (PyObject *key, *value; plain && PyDict_Next(o, &position, &key, &value);) {
      plain = visit_plainly(value, visit, depth + 1);
    }
    return plain;
  }
  return o == Py_None || type == &PyFloat_Type || type == &PyLong_Type || type == &PyBool_Type ||
         type == &PyUnicode_Type;
}

// The arrays of a tree; other leaves are ignored.
template <typename Arrays>
void add_arrays(nb::handle tree, Arrays& arrays) {
  if (is_array(tree)) {
    arrays.push_back(read(tree));
    return;
  }
#ifndef Py_GIL_DISABLED
  size_t before = arrays.size();
  auto add = [&](const array& a) {
    arrays.push_back(a);
    return true;
  };
  if (visit_plainly(tree.ptr(), add)) {
    return;
  }
  while (arrays.size() > before) {
    arrays.pop_back();
  }
#endif
  Leaves leaves;
  Tree::collect(tree, leaves);
  for (const nb::object& leaf : leaves) {
    if (is_array(leaf)) {
      arrays.push_back(read(leaf));
    }
  }
}

// Those in all of the arguments.
std::vector<array> arrays_in(nb::args trees) {
  std::vector<array> arrays;
  for (nb::handle tree : trees) {
    add_arrays(tree, arrays);
  }
  return arrays;
}

// core::eval_own_steps of some arrays at a time. False where some are left.
bool eval_own_parts(std::span<const array> all) {
  constexpr size_t part = 128, most = 4096; // more are worth letting other threads run
  if (all.size() > most) {
    return false;
  }
  while (!all.empty()) {
    std::span<const array> some = all.first(std::min(part, all.size()));
    if (!core::eval_own_steps(some, 1)) {
      return false;
    }
    all = all.subspan(some.size());
  }
  return true;
}

// A value that is there, and that nothing is to be let go for.
bool is_done(const array& a) {
  const core::Node& node = *a.node();
  return node.available() && node.operand_count == 0 &&
         !(node.buffer && node.buffer->writer.load(std::memory_order_acquire));
}

// How many nodes of each primitive computing the arrays would visit. What only passes a value on is no work, and not
// counted: the placeholders of transforms, and the outputs of an op that has several.
nb::dict node_counts(const std::vector<array>& arrays) {
  std::map<std::string, int64_t> counts;
  std::unordered_set<const core::Node*> seen;
  std::vector<const core::Node*> open;
  auto visit = [&](const array& a) {
    const core::Node* node = a.node();
    if (node->primitive && !node->available() && seen.insert(node).second) {
      open.push_back(node);
    }
  };
  std::for_each(arrays.begin(), arrays.end(), visit);
  while (!open.empty()) {
    const core::Node* node = open.back();
    open.pop_back();
    core::EvalKind kind = node->primitive->eval_kind();
    if (kind != core::EvalKind::identity && kind != core::EvalKind::project) {
      ++counts[node->primitive->name()];
    }
    for (const array& operand : const_cast<core::Node*>(node)->operands()) {
      visit(operand);
    }
  }
  nb::dict found;
  for (const auto& [name, count] : counts) {
    found[name.c_str()] = count;
  }
  return found;
}

// Runs Python's signal handlers, and stops the evaluation when one raises. The exception stays pending in this thread
// until the translator below finds it. Python handles signals on the main thread only.
unsigned long main_thread = 0;
bool signal_raised() {
  if (PyThread_get_thread_ident() != main_thread) {
    return false;
  }
  nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

// KeyboardInterrupt, SystemExit and the like: what `except Exception` does not catch.
bool ends_python(const std::exception& error) {
  auto* raised = dynamic_cast<const nb::python_error*>(&error);
  if (!raised) {
    return false;
  }
  nb::gil_scoped_acquire gil;
  return !raised->matches(PyExc_Exception) && !is_failure_for_value(*raised);
}

void translate_interruption(const std::exception_ptr& p, void*) {
  try {
    std::rethrow_exception(p);
  } catch (const core::Interrupted& e) {
    WithoutGil::stop_if_leaving();
    if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_KeyboardInterrupt, e.what());
    }
  }
}

} // namespace

PyObject* eval_shortly(PyObject* const* args, Py_ssize_t count) noexcept {
#ifdef Py_GIL_DISABLED
  return nullptr; // another thread may bind the handles
#endif
  bool done = !open_handle_log;
  for (Py_ssize_t i = 0; done && i < count; ++i) {
    done = visit_plainly(args[i], is_done);
  }
  if (done) {
    return Py_NewRef(Py_None);
  }
  return guarded(
      [&] {
        core::SmallVector<array, 4> arrays;
        for (Py_ssize_t i = 0; i < count; ++i) {
          add_arrays(args[i], arrays);
        }
        std::span<const array> all(arrays.begin(), arrays.size());
        if (!std::all_of(all.begin(), all.end(), is_done) && !eval_own_parts(all) && !core::eval_if_cheap(all)) {
          WithoutGil released;
          core::eval(all);
        }
        return Py_NewRef(Py_None);
      },
      static_cast<PyObject*>(nullptr));
}

void bind_evaluation(nb::module_& m) {
  main_thread = nb::cast<unsigned long>(nb::module_::import_("threading").attr("main_thread")().attr("ident"));
  core::set_interrupt_check(signal_raised);
  core::set_interruption_kind(ends_python);
  nb::register_exception_translator(translate_interruption);
  nb::module_::import_("atexit").attr("register")(nb::cpp_function([] {
    core::interrupt_other_threads();
    WithoutGil::stop_others();
    WithoutGil released;
    core::finish_background();
  }));
  // An evaluation may need the interpreter lock to finish, so the forking thread waits for it without that lock. In the
  // child it is the main thread.
  nb::module_ os = nb::module_::import_("os");
  if (nb::hasattr(os, "register_at_fork")) {
    os.attr("register_at_fork")(nb::arg("before") = nb::cpp_function([] {
      WithoutGil released;
      core::prepare_fork();
    }),
        nb::arg("after_in_parent") = nb::cpp_function(core::after_fork),
        nb::arg("after_in_child") = nb::cpp_function([] { main_thread = PyThread_get_thread_ident(); }));
  }

  m.def(
      "eval",
      [](nb::args trees) {
        std::vector<array> arrays = arrays_in(trees);
        WithoutGil released;
        core::eval(arrays);
      },
      nb::arg("args"), nb::sig("def eval(*args: typing.Any) -> None"),
      R"(Computes arrays, and waits until they are there.

All of them are computed in one walk, which shares the work they have in
common.

Args:
    *args (arrays or trees of arrays): Nestings of lists, tuples,
        dictionaries, NamedTuples, dataclasses and registered classes. Leaves
        that are no arrays are ignored.

Raises:
    Exception: The first error met while computing. Arrays that do not depend
        on it are computed all the same.

Example:
    >>> x = mx.ones((2,)) + 1
    >>> mx.eval(x, {"y": x * 2})
)");

  m.def(
      "async_eval",
      [](nb::args trees) {
        std::vector<array> arrays = arrays_in(trees);
        WithoutGil released;
        core::async_eval(std::move(arrays));
      },
      nb::arg("args"), nb::sig("def async_eval(*args: typing.Any) -> None"),
      R"(Starts computing arrays and returns at once.

Reading one of them waits for it. Where no thread can be made they are
computed at once. At the end of the process what is not computed is dropped.

Args:
    *args (arrays or trees of arrays): As for :func:`eval`.

Example:
    >>> x = mx.ones((2,)) + 1
    >>> mx.async_eval(x)
    >>> x
    array([2, 2], dtype=float32)
)");

  m.def(
      "_node_counts", [](nb::args trees) { return node_counts(arrays_in(trees)); }, nb::arg("args"),
      nb::sig("def _node_counts(*args) -> dict[str, int]"),
      "Primitive name -> number of nodes that computing the arrays would visit.");
  m.def(
      "_node_count",
      [](nb::args trees) {
        int64_t total = 0;
        for (auto [name, count] : node_counts(arrays_in(trees))) {
          total += nb::cast<int64_t>(count);
        }
        return total;
      },
      nb::arg("args"), nb::sig("def _node_count(*args) -> int"),
      "The number of nodes that computing the arrays would visit.");

  m.def(
      "synchronize",
      [](nb::handle stream) {
        StreamOrDevice which;
        if (!stream.is_none() && !to_stream_or_device(stream.ptr(), which)) {
          core::fail<core::TypeError>(
              "synchronize", "stream is a ", class_name(stream), "; it should be a Stream, a Device or a DeviceType.");
        }
        WithoutGil released;
        stream.is_none() ? core::synchronize() : core::synchronize(core::to_stream(which));
      },
      nb::arg("stream") = nb::none(),
      nb::sig("def synchronize(stream: Stream | ThreadLocalStream | Device | DeviceType | None = None) -> None"),
      R"(Waits until the work that was started is done.

Args:
    stream (Stream or Device, optional): The stream to wait for; a device means
        its default stream. Default: every stream.

Raises:
    Exception: What went wrong in that work.

Example:
    >>> mx.async_eval(mx.ones((2,)))
    >>> mx.synchronize()
)");
}

} // namespace mlx::python
