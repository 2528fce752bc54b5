// custom_function and checkpoint: Python functions recorded as one node, with rules of the user's or without.
#include "mlx_core/error.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/frame.h"
#include "python/src/runtime/made.h"
#include "python/src/transforms/argument_edits.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/outer_writes.h"
#include "python/src/transforms/traced_call.h"
#include "python/src/transforms/transformed.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

namespace {

using core::fail;
const char* const op = "custom_function";

// Python objects that rules refer to.
struct PythonCall final : core::RuleObjects {
  PythonCall(nb::handle args, nb::handle kwargs, std::vector<array>& arrays) : call(args, kwargs, arrays) {}
  TracedCall call;
};
struct PythonRule final : core::RuleObjects {
  explicit PythonRule(nb::object rule) : rule(std::move(rule)) {}
  const nb::object rule;
};

core::Tangent derivative(const nb::object& value, const char* what) {
  if (value.is_none()) {
    return std::nullopt;
  }
  if (std::optional<array> a = try_to_array(value.ptr(), {})) {
    return a;
  }
  fail<core::TypeError>(op, what, " holds a ", class_name(value), "; each entry should be an array or None.");
}

nb::object called(nb::handle rule, const nb::tuple& args, const nb::object& kwargs) {
  Descent guard(" in a transformed function");
  nb::object result = nb::steal(PyObject_Call(rule.ptr(), args.ptr(), kwargs.ptr()));
  if (result.is_valid()) {
    return result;
  }
  nb::python_error error;
  if (const char* given = core::rule_being_transposed(); given && error.matches(PyExc_ValueError)) {
    const char* missing = given[0] == 'j' ? "vjp" : "jvp";
    std::string text = nb::str(error.value()).c_str();
    nb::raise_from(error, PyExc_ValueError,
        "[%s] there is no %s rule, so the %s rule is transposed; for this it runs without values of %s, which it may "
        "only use linearly. It failed: %s Give a %s rule, or write the %s rule with operations on arrays.",
        op, missing, given, given[0] == 'j' ? "tangents" : "cotangents", text.c_str(), missing, given);
  }
  throw std::move(error);
}

// Calls a rule. It may change arrays around it in place when it runs as a part of the program, and their new values are
// as good as any. It may not where it is recorded apart from that, to run another time, or for lanes.
nb::object ruled(nb::handle rule, const char* name, const nb::tuple& args, const nb::object& kwargs) {
  uint64_t around = open_handle_log && open_handle_log->frame() != UINT64_MAX
                        ? open_handle_log->frame()
                        : 0; // what is recorded there is well taken care of
  PendingWrites pending;
  nb::object result;
  {
    HandleLog log{HandleLog::Frameless()};
    result = called(rule, args, kwargs);
    pending.take(log);
  }
  for (const core::Frame* frame : core::Frame::open()) {
    for (const auto& [handle, value] : pending.all()) {
      if (frame->kind() != core::Frame::Kind::differentiate && frame->id() > around &&
          value.node()->level >= frame->id()) {
        fail(op, "the ", name, " rule changes ", name_of_outer(handle, {&rule, 1}), " of shape ", value.shape(),
            ", in place, but it ",
            frame->kind() == core::Frame::Kind::vmap ? "runs for all lanes at once" : "is recorded",
            ": it has no value to write yet. Return what you want to keep from the function.");
      }
    }
  }
  pending.apply();
  return result;
}

// A rule of a function of one argument gets that argument; of several, their tuple.
nb::object argument_or_tuple(nb::object positional) {
  return PyTuple_GET_SIZE(positional.ptr()) == 1 ? nb::borrow(PyTuple_GET_ITEM(positional.ptr(), 0)) : positional;
}

// What the vjp rule returned, as a tuple with an entry for each argument: one for one argument, with or without a tuple
// around it; those left out at the end are None.
nb::object as_arguments(nb::object result, nb::handle positional) {
  Py_ssize_t count = PyTuple_GET_SIZE(positional.ptr());
  bool sequence = PyTuple_Check(result.ptr()) || PyList_Check(result.ptr());
  if (count == 1) {
    PyObject* only = PyTuple_GET_ITEM(positional.ptr(), 0);
    bool wrapped = sequence && PySequence_Fast_GET_SIZE(result.ptr()) == 1 && is_array(only);
    return wrapped ? result : nb::object(nb::make_tuple(result));
  }
  if (sequence && PySequence_Fast_GET_SIZE(result.ptr()) < count) {
    nb::list padded;
    for (Py_ssize_t i = 0; i < count; ++i) {
      bool there = i < PySequence_Fast_GET_SIZE(result.ptr());
      padded.append(there ? nb::borrow(PySequence_Fast_GET_ITEM(result.ptr(), i)) : nb::object(nb::none()));
    }
    return nb::tuple(padded);
  }
  return result;
}

class CustomFunction {
 public:
  explicit CustomFunction(nb::object fun) : fun_(check("f", std::move(fun))) {}

  nb::object call(nb::args args, nb::kwargs kwargs) const {
    bool has_rules = vjp_.is_valid() || jvp_.is_valid() || vmap_.is_valid();
    bool any_transform = core::detail::oldest_open_frame.load() != UINT64_MAX; // on any thread
    if (!has_rules || !any_transform) {                                        // nobody will ask for the rules
      nb::object fun = *fun_;                                                  // kept while it runs
      return called(fun, args, kwargs);
    }
    std::vector<array> arrays;
    auto held = make_locked<PythonCall>(args, kwargs, arrays);
    TracedCall& call = held->call;
    std::shared_ptr<core::CustomRules> rules = this->rules(held);
    ArgumentEdits edits(args, kwargs);
    PendingWrites pending; // their derivatives follow from the function, not from the rules
    auto fun = [&](const std::vector<array>& in) {
      HandleLog log{HandleLog::Frameless()}; // it may have one
      auto before = [&](nb::handle given_args, nb::handle given_kwargs) { edits.watch(given_args, given_kwargs); };
      bool keeps = forward_.is_valid() && vjp_.is_valid();
      std::vector<array> outputs =
          keeps ? call.run_with_residuals(op, *forward_, in, before) : call.run(*fun_, in, before);
      size_t results = call.output->array_count();
      edits.take(outputs);
      rules->kept = outputs.size() - results;
      pending.take(log);
      return outputs;
    };
    std::vector<array> outputs = core::call_with_rules(fun, arrays, rules);
    nb::object result = call.output->build(std::span<const array>(outputs).first(call.output->array_count()));
    edits.apply(outputs);
    pending.apply();
    return result;
  }

  void set_forward(nb::object rule) { forward_ = check("the forward rule", std::move(rule)); }
  void set_vjp(nb::object rule) { vjp_ = check("the vjp rule", std::move(rule)); }
  void set_jvp(nb::object rule) { jvp_ = check("the jvp rule", std::move(rule)); }
  void set_vmap(nb::object rule) { vmap_ = check("the vmap rule", std::move(rule)); }
  nb::object fun() const { return *fun_; }

  static int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (nb::inst_ready(self)) {
      CustomFunction* f = nb::inst_ptr<CustomFunction>(self);
      // None for a rule that it has not: recordings look here for what has become of each.
      for (const Link* link : {&f->fun_, &f->vjp_, &f->jvp_, &f->vmap_, &f->forward_}) {
        Py_VISIT(link->is_valid() ? link->ptr() : Py_None);
      }
    }
    return 0;
  }
  static int clear(PyObject* self) {
    if (nb::inst_ready(self)) {
      CustomFunction* f = nb::inst_ptr<CustomFunction>(self);
      f->vjp_ = f->jvp_ = f->vmap_ = f->forward_ = Link();
      f->fun_ = nb::object(nb::none());
    }
    return 0;
  }

 private:
  static nb::object check(const char* what, nb::object callable) {
    if (!PyCallable_Check(callable.ptr())) {
      fail<core::TypeError>(op, what, " is a ", class_name(callable), "; it should be a callable.");
    }
    return callable;
  }

  // A Python function beside the rule that calls it, which goes without owning it.
  static const nb::object* hold(const nb::object& rule, std::shared_ptr<const core::RuleObjects>& place) {
    auto held = make_locked<PythonRule>(rule);
    place = held;
    return &held->rule;
  }

  std::shared_ptr<core::CustomRules> rules(const std::shared_ptr<PythonCall>& held) const {
    auto rules = std::make_shared<core::CustomRules>();
    const TracedCall* call = &held->call;
    rules->objects = held;
    rules->ruled = call->positional.array_count();
    if (jvp_.is_valid()) {
      rules->jvp = [call, rule = hold(*jvp_, rules->jvp_objects)](
                       const std::vector<array>& primals, const core::Tangents& tangents) {
        nb::object positional = call->positional.build(primals);
        nb::object directions = call->positional.build(std::span<const std::optional<array>>(tangents));
        nb::object result =
            ruled(*rule, "jvp", nb::make_tuple(argument_or_tuple(positional), argument_or_tuple(directions)),
                call->named_arguments(primals));
        core::Tangents out;
        for (const nb::object& value : call->output->match(result, op, "what the jvp rule returned", "the output")) {
          out.push_back(derivative(value, "what the jvp rule returned"));
        }
        return out;
      };
    }
    if (vjp_.is_valid()) {
      rules->vjp = [call, rule = hold(*vjp_, rules->vjp_objects)](const std::vector<array>& primals,
                       const std::vector<array>& cotangents, const std::vector<array>& outputs) {
        nb::object positional = call->positional.build(primals);
        std::span<const array> all(outputs);
        size_t results = call->output->array_count();
        nb::list given;
        given.append(argument_or_tuple(positional));
        given.append(call->output->build(cotangents));
        given.append(call->output->build(all.first(results)));
        if (call->residuals) {
          given.append(call->residuals->build(all.subspan(results, call->residuals->array_count())));
        }
        nb::object result = ruled(*rule, "vjp", nb::tuple(given), call->named_arguments(primals));
        result = as_arguments(result, positional);
        core::Tangents out;
        for (const nb::object& value : call->positional.match(result, op, "what the vjp rule returned", "primals")) {
          out.push_back(derivative(value, "what the vjp rule returned"));
        }
        return out;
      };
    }
    if (vmap_.is_valid()) {
      rules->vmap = [call, rule = hold(*vmap_, rules->vmap_objects)](const std::vector<array>& inputs,
                        const core::MapAxes& axes) { return mapped(*call, *rule, inputs, axes); };
    }
    return rules;
  }

  static core::Mapped mapped(
      const TracedCall& call, nb::handle rule, const std::vector<array>& inputs, const core::MapAxes& axes) {
    nb::object positional = call.positional.build(inputs);
    nb::object positional_axes = call.positional.build_values(
        [&](size_t i) { return axes[i] ? nb::object(nb::int_(*axes[i])) : nb::object(nb::none()); });
    nb::object result =
        ruled(rule, "vmap", nb::make_tuple(argument_or_tuple(positional), argument_or_tuple(positional_axes)),
            call.named_arguments(inputs));
    bool pair =
        (PyTuple_Check(result.ptr()) || PyList_Check(result.ptr())) && PySequence_Fast_GET_SIZE(result.ptr()) == 2;
    if (!pair) {
      fail(op, "the vmap rule returned a ", class_name(result), "; it should return a pair: outputs, and their axes.");
    }
    core::Mapped out;
    nb::object outputs = nb::borrow(PySequence_Fast_GET_ITEM(result.ptr(), 0));
    nb::object output_axes = nb::borrow(PySequence_Fast_GET_ITEM(result.ptr(), 1));
    ArrayTree tree(outputs, out.outputs);
    for (const nb::object& axis : tree.match(output_axes, op, "axes", "outputs")) {
      if (axis.is_none()) {
        out.axes.push_back(std::nullopt);
        continue;
      }
      int value = 0;
      if (!nb::try_cast(axis, value)) {
        fail<core::TypeError>(op, "the vmap rule gave a ", class_name(axis), " as axis; it should be an int or None.");
      }
      out.axes.push_back(core::normalize_axis(op, value, out.outputs[out.axes.size()].ndim()));
    }
    return out;
  }

  Link fun_, vjp_, jvp_, vmap_, forward_;
};

class Checkpoint final : public Transformation {
 public:
  explicit Checkpoint(nb::handle fun) : Transformation(fun, nb::make_tuple("checkpoint")) {}
  const char* name() const override { return "checkpoint"; }

  nb::object call(const CallArguments& arguments) const override {
    nb::list args;
    nb::dict kwargs;
    for (size_t i = 0; i < arguments.positional; ++i) {
      args.append(nb::handle(arguments.values[i]));
    }
    for (size_t i = 0; i < arguments.keyword_count(); ++i) {
      kwargs[arguments.keyword_name(i)] = arguments.keyword_value(i);
    }
    std::vector<array> arrays;
    nb::tuple originals(args);
    TracedCall call(originals, kwargs, arrays);
    ArgumentEdits edits(originals, kwargs);
    PendingWrites writes; // further outputs: what it changed around it
    auto run = [&](const std::vector<array>& in) {
      HandleLog log;
      std::vector<array> outputs = call.run(
          fun(), in, [&](nb::handle args_given, nb::handle kwargs_given) { edits.watch(args_given, kwargs_given); });
      edits.take(outputs);
      writes.take(log);
      writes.give_out(log.frame(), outputs);
      return outputs;
    };
    std::vector<array> outputs = core::checkpoint(run)(arrays);
    std::span<const array> all(outputs);
    std::span<const array> written = all.last(writes.given_out());
    all = all.first(all.size() - written.size());
    edits.apply(all);
    writes.apply(written);
    return call.output->build(all.first(call.output->array_count()));
  }
};

// A method that sets a rule and returns the function.
template <auto set>
nb::object decorator(nb::handle_t<CustomFunction> self, nb::object f) {
  (made<CustomFunction>(self).*set)(std::move(f));
  return nb::borrow(self);
}

} // namespace

void bind_custom(nb::module_& m) {
  static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(CustomFunction::traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(CustomFunction::clear)}, {0, nullptr}};
  nb::class_<CustomFunction>(m, "custom_function", nb::type_slots(slots), nb::is_generic(),
      nb::sig("class custom_function(typing.Generic[_P, _R])"), R"(A function with derivatives and batching of its own.

A decorator. The result behaves as ``f`` does; :func:`grad`, :func:`vjp`,
:func:`jvp` and :func:`vmap` use the rules that are given to it. Of the two modes
one rule is enough: the other mode is its transpose, as both are linear maps.
What no rule is given for follows from ``f`` itself.

Rules get the positional arguments as one array or tree if there is one, as a
tuple if there are several, and the keyword arguments as keywords. A rule is
ordinary code on arrays, so that transforms nest to any order.

``f`` may read the values of its arguments where they have any (outside of
``vmap``). Derivatives with respect to arrays that ``f`` takes from around it, and
to keyword arguments, follow from ``f`` itself, as do those of arrays around it
that it changes in place. A rule may change arrays around it where it runs with
the program, but not where it is only recorded: transposed, for the lanes of a
``vmap``, or as part of a loop's derivative. There that is a ``ValueError``.

Args:
    f (callable): Takes and returns arrays, or trees of arrays and other things.

Example:
    >>> @mx.custom_function
    ... def clipped(x):
    ...     return mx.clip(x, 0, 1)
    >>> @clipped.vjp
    ... def clipped_vjp(x, cotangent, output):
    ...     return cotangent  # straight through
    >>> mx.grad(clipped)(mx.array(3.0))
    array(1, dtype=float32)
)")
      .def(nb::init<nb::object>(), nb::arg("f"),
          nb::sig("def __init__(self, f: collections.abc.Callable[_P, _R]) -> None"))
      .def("__call__", &CustomFunction::call,
          nb::sig("def __call__(self, *args: typing.Any, **kwargs: typing.Any) -> typing.Any"))
      .def("vjp", &decorator<&CustomFunction::set_vjp>, nb::arg("f"),
          nb::sig("def vjp(self, f: collections.abc.Callable[..., typing.Any]) -> custom_function[_P, _R]"),
          R"(Sets the rule of reverse mode. Returns this function.

Args:
    f (callable): ``f(primals, cotangents, outputs)``, the latter two like the
        output, returns a tree like ``primals`` with the cotangents; None
        stands for zeros, and where ``f`` has several arguments, entries that
        are left out at the end do, too. With :meth:`forward` it gets a fourth
        argument, the residuals.
)")
      .def("forward", &decorator<&CustomFunction::set_forward>, nb::arg("f"),
          nb::sig("def forward(self, f: collections.abc.Callable[..., typing.Any]) -> custom_function[_P, _R]"),
          R"(Sets what runs in place of ``f`` where the rule of reverse mode may be asked for.

It computes what ``f`` does, and keeps values for that rule, so that they are
not computed again. Derivatives of these values, which higher orders need,
follow from it. Returns this function.

Args:
    f (callable): Takes the arguments of the function and returns a pair: the
        output, and the residuals, any tree. The rule of :meth:`vjp` gets
        these as its fourth argument.

Example:
    >>> @mx.custom_function
    ... def softplus(x):
    ...     return mx.log1p(mx.exp(x))
    >>> @softplus.forward
    ... def softplus_forward(x):
    ...     e = mx.exp(x)
    ...     return mx.log1p(e), {"e": e}
    >>> @softplus.vjp
    ... def softplus_vjp(x, cotangent, output, residuals):
    ...     return cotangent * residuals["e"] / (1 + residuals["e"])
    >>> mx.grad(softplus)(mx.array(0.0))
    array(0.5, dtype=float32)
)")
      .def("jvp", &decorator<&CustomFunction::set_jvp>, nb::arg("f"),
          nb::sig("def jvp(self, f: collections.abc.Callable[..., typing.Any]) -> custom_function[_P, _R]"),
          R"(Sets the rule of forward mode. Returns this function.

Args:
    f (callable): ``f(primals, tangents)``, where a tangent that is zero is
        None, returns a tree like the output with its tangents.
)")
      .def("vmap", &decorator<&CustomFunction::set_vmap>, nb::arg("f"),
          nb::sig("def vmap(self, f: collections.abc.Callable[..., typing.Any]) -> custom_function[_P, _R]"),
          R"(Sets the rule of batching. Returns this function.

Args:
    f (callable): ``f(inputs, axes)``, where ``axes`` is like ``inputs`` and
        holds the batch axis of each array, or None. Returns the outputs, and
        a tree of their batch axes, or None. Where ``f`` or the rule uses
        other arrays that are mapped, or those of a loop around it, batching
        follows from ``f`` itself.
)")
      .def_prop_ro("__wrapped__", &CustomFunction::fun,
          nb::for_getter(nb::sig("def __wrapped__(self) -> collections.abc.Callable[_P, _R]")));

  m.def(
      "checkpoint", [](nb::handle fun) { return make_transformed(std::make_unique<Checkpoint>(fun)); }, nb::arg("fun"),
      nb::sig("def checkpoint(fun: collections.abc.Callable[_P, _R]) -> collections.abc.Callable[_P, _R]"),
      R"(A function whose derivatives compute again what happens inside it.

Nothing between the arguments and the outputs is kept for the backward pass:
less memory for more work. Everything else is as without it.

Args:
    fun (callable): Takes and returns arrays, or trees of arrays and other
        things.

Returns:
    callable: Takes the arguments of ``fun`` and returns what ``fun`` returns.

Raises:
    TypeError: If ``fun`` is not a callable.

Example:
    >>> mx.grad(mx.checkpoint(lambda x: mx.sin(x) * x))(mx.array(0.0))
    array(0, dtype=float32)
)");
}

} // namespace mlx::python
