// vmap: Python functions of one lane, over trees of batches.
#include <string_view>

#include "mlx_core/error.h"
#include "mlx_core/eval/background.h"
#include "mlx_core/ops.h"
#include "mlx_core/transforms.h"
#include "mlx_core/transforms/escape.h"
#include "mlx_core/transforms/lanes.h"
#include "python/src/array/convert.h"
#include "python/src/array/number_arguments.h"
#include "python/src/interop/foreign_arrays.h"
#include "python/src/runtime/gil.h"
#include "python/src/runtime/shown.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/chunk_size.h"
#include "python/src/transforms/container_changes.h"
#include "python/src/transforms/outer_writes.h"
#include "python/src/transforms/transformed.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

namespace {

using core::fail;

// What a leaf of in_axes or out_axes says: an axis, or None.
std::optional<int> axis_of(const char* name, nb::handle axis) {
  if (axis.is_none()) {
    return std::nullopt;
  }
  if (PyLong_Check(axis.ptr()) && !PyBool_Check(axis.ptr())) {
    return int_of("vmap", name, axis);
  }
  fail<core::TypeError>("vmap", name, " holds a ", class_name(axis), "; each entry should be an int or None.");
}

bool is_number(nb::handle o) { return PyFloat_Check(o.ptr()) || PyLong_Check(o.ptr()) || PyComplex_Check(o.ptr()); }

// The leaves of a call's arguments and how each of them is mapped.
struct Arguments {
  std::vector<Tree> trees; // one per value of the call
  Leaves leaves;
  Leaves axes;                // one per leaf
  std::vector<size_t> mapped; // leaves that differ between lanes
};

class Vmap final : public Transformation {
 public:
  Vmap(nb::handle fun, nb::handle in_axes, nb::handle out_axes, core::ChunkSize chunk_size, core::Randomness randomness)
      : Transformation(
            fun, nb::make_tuple("vmap", in_axes, out_axes, chunk_size.lanes(), static_cast<int>(randomness))),
        in_axes_(nb::borrow(in_axes)),
        out_axes_(nb::borrow(out_axes)),
        chunk_size_(chunk_size),
        randomness_(randomness) {}

  const char* name() const override { return "vmap"; }
  void traverse(Traversal& owned) const override {
    owned(in_axes_);
    owned(out_axes_);
  }

  nb::object call(const CallArguments& call) const override {
    Arguments args = take_apart(call);
    std::vector<array> batches;
    core::VmapAxes axes;
    collect_batches(call, args, batches, axes);

    // Nothing in Python may hold a lane once the function has returned, so the outputs are taken apart inside.
    std::optional<Tree> output;
    Leaves outputs;
    EditedArrays edited;  // further outputs: what the function put into containers
    PendingWrites writes; // and what it changed around it
    auto fun = [&](const std::vector<array>& lanes) {
      HandleLog log;
      ContainerChanges changes;
      nb::object result = call_with(call, args, lanes, changes);
      output.emplace(result, outputs);
      std::vector<array> arrays = output_arrays(*output, outputs);
      edited = EditedArrays(changes.take(), arrays);
      writes.take(log);
      writes.give_out(log.frame(), arrays);
      return arrays;
    };
    std::vector<size_t> batched; // outputs' leaves that came from core::vmap
    auto out_axes_of = [&](const std::vector<array>& arrays) {
      core::VmapAxes axes = output_axes(*output, outputs, arrays, batched);
      size_t own = arrays.size() - writes.given_out();
      while (axes.size() < own) { // lanes are put in front; what all of them share stays one
        axes.push_back(core::batched_view(arrays[axes.size()]) ? std::optional<int>(0) : std::nullopt);
      }
      axes.resize(arrays.size()); // what is changed around it has no lanes
      for (size_t i = own; i < arrays.size(); ++i) {
        check_shared(writes.handle_given_out(i - own), arrays[i]);
      }
      return axes;
    };
    std::vector<array> results = core::vmap_call(fun, axes, batches, out_axes_of, chunk_size_, randomness_);
    for (size_t i = 0; i < batched.size(); ++i) {
      outputs[batched[i]] = nb::steal(wrap(std::move(results[i])));
    }
    edited.apply(std::span(results).subspan(batched.size()));
    writes.apply(std::span<const array>(results).last(writes.given_out()));
    return output->build(outputs);
  }

 private:
  void check_shared(nb::handle handle, const array& written) const {
    if (core::batched(*core::Frame::open().back(), {&written, 1}).axes[0]) {
      nb::handle function = fun();
      fail("vmap", "the function writes values that differ between lanes into ", name_of_outer(handle, {&function, 1}),
          " of shape ", read(handle).shape(),
          ": it has no place for each lane. Return the values, or pass the array as "
          "an argument that is mapped.");
    }
  }

  Arguments take_apart(const CallArguments& call) const {
    Arguments args;
    args.trees.reserve(call.values.size());
    for (PyObject* value : call.values) {
      args.trees.emplace_back(value, args.leaves);
    }
    args.axes.reserve(args.leaves.size());
    std::optional<Items> per_argument;
    if (PyTuple_Check(in_axes_.ptr()) || PyList_Check(in_axes_.ptr())) {
      per_argument.emplace(in_axes_.ptr());
      if (per_argument->size() != call.positional) {
        if (call.positional != 1) {
          fail("vmap", "in_axes has ", per_argument->size(), " entries but the function was called with ",
              call.positional, " positional arguments.");
        }
        per_argument.reset(); // the axes of a single argument, without a tuple around them
      }
    }
    std::vector<nb::object> named = named_axes(call);
    for (size_t i = 0; i < call.values.size(); ++i) {
      if (i >= call.positional && named.empty()) {
        args.axes.resize(args.axes.size() + args.trees[i].leaf_count(), nb::int_(0));
        continue;
      }
      nb::handle prefix = !named.empty() ? nb::handle(named[i])
                          : per_argument ? nb::handle((*per_argument)[i])
                                         : nb::handle(in_axes_);
      if (PyLong_CheckExact(prefix.ptr()) || prefix.is_none()) {
        args.axes.resize(args.axes.size() + args.trees[i].leaf_count(), nb::borrow(prefix));
      } else {
        std::string place = !named.empty() ? "in_axes['" + argument_name(call, i) + "']"
                            : per_argument ? "in_axes[" + std::to_string(i) + "]"
                                           : "in_axes";
        args.trees[i].spread(prefix, place.c_str(), argument_name(call, i), args.axes);
      }
    }
    return args;
  }

  // Where in_axes is a dict of arguments' names: its entry for each argument, 0 where it has none. Empty where it is
  // something else, such as the axes of a single argument that is a dict itself.
  std::vector<nb::object> named_axes(const CallArguments& call) const {
    std::vector<nb::object> found;
    if (!PyDict_Check(in_axes_.ptr())) {
      return found;
    }
    nb::dict axes = nb::borrow<nb::dict>(in_axes_);
    Entries entries(axes.ptr());
    nb::list names;
    for (size_t i = 0; i < call.values.size(); ++i) {
      nb::str name(argument_name(call, i).c_str());
      names.append(name);
      found.push_back(axes.contains(name) ? nb::object(axes[name]) : nb::object(nb::int_(0)));
    }
    for (const auto& [name, axis] : entries) {
      if (PySequence_Contains(names.ptr(), name.ptr()) == 1) {
        continue;
      }
      if (call.positional == 1) {
        return {};
      }
      fail("vmap", "in_axes is a dict with an entry for ", shown(name), ", but the arguments of the call are ",
          nb::cast<std::string>(nb::str(", ").attr("join")(names)),
          ". Name those, or give a tuple with one entry for each positional argument.");
    }
    return found;
  }

  std::string leaf_name(const CallArguments& call, const Arguments& args, size_t leaf) const {
    for (size_t i = 0; i < args.trees.size(); ++i) {
      if (leaf < args.trees[i].leaf_count()) {
        return argument_name(call, i) + args.trees[i].path(leaf);
      }
      leaf -= args.trees[i].leaf_count();
    }
    return "an argument";
  }

  void collect_batches(
      const CallArguments& call, Arguments& args, std::vector<array>& batches, core::VmapAxes& axes) const {
    for (size_t i = 0; i < args.leaves.size(); ++i) {
      std::optional<int> axis = axis_of("in_axes", args.axes[i]);
      if (!is_array(args.leaves[i])) {
        if (std::optional<array> a =
                is_foreign_array(args.leaves[i].ptr()) ? try_to_array(args.leaves[i].ptr(), {}) : std::nullopt) {
          args.leaves[i] = nb::steal(wrap(*a));
        } else {
          continue; // numbers, strings and other objects are the same in every lane
        }
      }
      if (!axis) {
        continue;
      }
      const array& a = read(args.leaves[i]);
      int rank = a.ndim();
      if (*axis < -rank || *axis >= rank) {
        fail<core::AxisError>("vmap", "in_axes asks for axis ", *axis, " of ", leaf_name(call, args, i),
            ", which has shape ", a.shape(), rank ? "." : "; a scalar has no axis to map over. Give it None.");
      }
      axis = *axis < 0 ? *axis + rank : *axis;
      if (!args.mapped.empty() && !(a.shape(*axis) == batches[0].shape(*axes[0]))) {
        fail("vmap", leaf_name(call, args, args.mapped[0]), " has ", batches[0].shape(*axes[0]), " lanes (axis ",
            *axes[0], " of shape ", batches[0].shape(), ") but ", leaf_name(call, args, i), " has ", a.shape(*axis),
            " (axis ", *axis, " of shape ", a.shape(),
            "). Mapped axes have one length; "
            "give what every lane shares None in in_axes.");
      }
      args.mapped.push_back(i);
      batches.push_back(a);
      axes.push_back(axis);
    }
    if (args.mapped.empty()) {
      fail("vmap", "no argument is mapped: give at least one array an axis in in_axes.");
    }
  }

  nb::object call_with(const CallArguments& call, const Arguments& args, const std::vector<array>& lanes,
      ContainerChanges& changes) const {
    Leaves leaves(args.leaves);
    for (size_t i = 0, next = 0; i < leaves.size(); ++i) {
      if (next < args.mapped.size() && args.mapped[next] == i) {
        leaves[i] = nb::steal(wrap(lanes[next++]));
      } else if (is_array(leaves[i])) {
        leaves[i] = nb::steal(wrap(read(leaves[i]))); // an in-place update stays inside
      }
    }
    core::SmallVector<nb::object, 4> built;
    core::SmallVector<PyObject*, 6> values;
    size_t first = 0;
    for (const Tree& tree : args.trees) {
      built.push_back(tree.build({leaves.data() + first, tree.leaf_count()}));
      changes.watch(call.values[values.size()], built.back());
      values.push_back(built.back().ptr());
      first += tree.leaf_count();
    }
    leaves.clear();
    return call_fun(values, call);
  }

  // Arrays among the outputs, and numbers as arrays; the leaves give up what they hold of them.
  std::vector<array> output_arrays(const Tree& output, Leaves& leaves) const {
    Leaves axes;
    spread_out_axes(output, axes);
    std::vector<array> arrays;
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (is_array(leaves[i])) {
        arrays.push_back(read(leaves[i]));
        leaves[i] = nb::object();
      } else if (axis_of("out_axes", axes[i])) {
        if (!is_number(leaves[i])) {
          fail<core::TypeError>("vmap", "the function returned output", output.path(i), ", a ", class_name(leaves[i]),
              "; only arrays and numbers can be stacked. Give it None in out_axes.");
        }
        arrays.push_back(to_array({leaves[i].ptr()}));
        leaves[i] = nb::object();
      }
    }
    return arrays;
  }

  void spread_out_axes(const Tree& output, Leaves& axes) const {
    PyObject* only = out_axes_.ptr(); // (1,) for one output that is no tuple
    if (output.is_leaf() && PyTuple_CheckExact(only) && PyTuple_GET_SIZE(only) == 1) {
      axes.push_back(nb::borrow(PyTuple_GET_ITEM(only, 0)));
      return;
    }
    if (PyLong_CheckExact(out_axes_.ptr()) || out_axes_.is_none()) {
      axes.resize(output.leaf_count(), out_axes_);
    } else {
      output.spread(out_axes_, "out_axes", "output", axes);
    }
  }

  core::VmapAxes output_axes(
      const Tree& output, const Leaves& leaves, const std::vector<array>& arrays, std::vector<size_t>& batched) const {
    Leaves entries;
    spread_out_axes(output, entries);
    core::VmapAxes axes;
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (leaves[i].is_valid()) { // kept aside
        continue;
      }
      std::optional<int> axis = axis_of("out_axes", entries[i]);
      int rank = arrays[batched.size()].ndim() + 1; // of the result
      if (axis && (*axis < -rank || *axis >= rank)) {
        fail<core::AxisError>("vmap", "out_axes asks for axis ", *axis, " of output", output.path(i), ", which has ",
            rank, " axes with the mapped one.");
      }
      batched.push_back(i);
      axes.push_back(axis);
    }
    return axes;
  }

  nb::object in_axes_, out_axes_;
  core::ChunkSize chunk_size_;
  core::Randomness randomness_;
};

core::Randomness randomness_of(std::string_view name) {
  if (name != "different" && name != "same" && name != "error") {
    fail("vmap", "randomness is \"", name, "\"; it should be \"different\", \"same\" or \"error\".");
  }
  return name == "different" ? core::Randomness::different
         : name == "same"    ? core::Randomness::same
                             : core::Randomness::error;
}

void collect_garbage() {
  {
    WithoutGil released;
    core::wait_for_background();
  }
  PyGC_Collect();
}

} // namespace

void bind_vmap(nb::module_& m) {
  core::set_collect_garbage(collect_garbage); // cycles may hold lanes that nobody can reach
  m.def(
      "vmap",
      [](nb::handle fun, nb::handle in_axes, nb::handle out_axes, nb::handle chunk_size, const char* randomness) {
        for (auto [name, axes] : {std::pair("in_axes", in_axes), std::pair("out_axes", out_axes)}) {
          Leaves leaves;
          Tree tree(axes, leaves);
          for (const nb::object& leaf : leaves) {
            axis_of(name, leaf);
          }
        }
        return make_transformed(std::make_unique<Vmap>(
            fun, in_axes, out_axes, chunk_size_of("vmap", chunk_size), randomness_of(randomness)));
      },
      nb::arg("fun"), nb::arg("in_axes").none() = 0, nb::arg("out_axes").none() = 0, nb::kw_only(),
      nb::arg("chunk_size") = nb::none(), nb::arg("randomness") = "different",
      nb::sig("def vmap(fun: collections.abc.Callable[_P, _R], in_axes: object = 0, out_axes: object = 0, *, "
              "chunk_size: int | str | None = None, randomness: str = 'different') "
              "-> collections.abc.Callable[_P, _R]"),
      R"(A function over a batch, from a function of one of its lanes.

``fun`` runs once for all lanes. An array around it that it changes in place has
no lanes: it may be given values that all lanes share, and keeps them; other
ones are refused, and then nothing has changed.

Args:
    fun (callable): Takes arrays, or trees of arrays, without the batch axis.
        A tree is a nesting of lists, tuples, dictionaries, NamedTuples,
        dataclasses, ``None`` and registered classes.
    in_axes (int, None or tree): The batch axis of the positional arguments:
        one for all of them, or a tuple with an entry for each. An entry is an
        axis, which may be negative; or ``None`` for an argument that every
        lane shares; or a container like the argument, with such entries in
        it, as deep as needed. A single argument's container may stand alone.
        A dict of arguments' names has entries for those, positional or
        keyword; arguments without an entry are mapped over axis 0, as all
        keyword arguments are when ``in_axes`` is anything else. Numbers and
        other objects that are no arrays are shared whatever the entry.
        Default: ``0``.
    out_axes (int, None or tree): Where the batch axis goes in the outputs: one
        for all, or a container like the output. ``None`` is for an output that
        is the same in every lane, and leaves it without a batch axis.
        Default: ``0``.
    chunk_size (int, "auto" or None): How many lanes are computed at a time;
        the last chunk may have fewer. ``fun`` runs once all the same, and the
        results, random draws included, are those of ``None``: all lanes at
        once (a matrix product may round differently). ``"auto"`` takes as
        many as fit into :func:`get_memory_limit`, by an estimate of what a
        lane needs. A chunk's intermediate values go before the next chunk is
        computed, unless an open ``grad`` needs them. Default: ``None``.
    randomness (str): What functions of ``mx.random`` draw inside ``fun`` when
        they get no key: ``"different"`` numbers in every lane, the ``"same"``
        in all of them, or an ``"error"``. A key that is given decides by
        itself: a mapped one differs between lanes, another does not.
        Default: ``"different"``.

Returns:
    callable: Takes the arguments of ``fun`` with the batch axis in them, and
    returns what ``fun`` returns with the batch axis in each array. Numbers
    that ``fun`` returns become arrays.

Raises:
    TypeError: If an axis is neither an int nor ``None``, or ``fun`` returns
        something that cannot be stacked.
    ValueError: If ``randomness`` is something else.
    ValueError: From the returned function, if nothing is mapped, mapped axes
        differ in length, ``in_axes`` or ``out_axes`` has other containers than
        what it describes, an output with ``None`` differs between lanes, or
        so do values written into an array around ``fun``.
    AxisError: If an array has no such axis.

Example:
    >>> mx.vmap(lambda x, y: x + y, in_axes=(0, 1))(mx.ones((3, 2)), mx.zeros((2, 3))).shape
    (3, 2)
    >>> mx.vmap(lambda p, x: p["w"] @ x, in_axes=({"w": None}, 0))({"w": mx.ones((4, 2))}, mx.ones((3, 2))).shape
    (3, 4)
    >>> mx.vmap(lambda x, w: w @ x, in_axes={"w": None})(mx.ones((3, 2)), w=mx.ones((4, 2))).shape
    (3, 4)
)");
}

} // namespace mlx::python
