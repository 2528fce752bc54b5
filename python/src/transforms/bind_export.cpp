// export_function, exporter and import_function: Python functions in files.
#include "mlx_core/export.h"

#include "mlx_core/error.h"
#include "mlx_core/io/saved_function.h"
#include "mlx_core/params.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/outer_writes.h"
#include "python/src/transforms/traced_call.h"
#include "python/src/trees/descent.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

namespace {

using core::fail;
using core::NamedArrays;

std::string path_of(const char* op, nb::handle file) {
  if (!PyUnicode_Check(file.ptr()) && !PyBytes_Check(file.ptr()) && !nb::hasattr(file, "__fspath__")) {
    fail<core::TypeError>(op, "file is ", described(file), "; it should be a path.");
  }
  return nb::str(nb::module_::import_("os").attr("fsdecode")(file)).c_str(); // a caster must not run out of memory
}

bool is_sequence(nb::handle o) { return PyTuple_Check(o.ptr()) || PyList_Check(o.ptr()); }

// The arrays of a call: f(a, b, x=c), or the same in containers: f((a, b), {"x": c}).
struct ArrayArguments {
  std::vector<array> positional;
  NamedArrays named;

  ArrayArguments(const char* op, nb::args args, nb::kwargs kwargs) {
    size_t count = args.size();
    bool sequence_first = count > 0 && is_sequence(args[0]),
         dict_last = count > 0 && PyDict_Check(args[count - 1].ptr());
    if (count == 1 && dict_last) {
      add_named(op, args[0]);
    } else if ((count == 1 && sequence_first) || (count == 2 && sequence_first && dict_last)) {
      add_positional(op, args[0]);
      if (count == 2) {
        add_named(op, args[1]);
      }
    } else {
      add_positional(op, args);
    }
    add_named(op, kwargs);
  }

 private:
  void add_positional(const char* op, nb::handle sequence) {
    for (nb::handle value : sequence) {
      if (!is_array(value)) {
        refuse(op, "argument " + std::to_string(positional.size()), value);
      }
      positional.push_back(read(value));
    }
  }
  void add_named(const char* op, nb::handle dict) {
    Entries entries(dict.ptr());
    for (const auto& [name, value] : entries) {
      if (!PyUnicode_Check(name.ptr())) {
        fail(op, "a dictionary of arguments has a key that is a ", class_name(name), "; keys are names.");
      }
      std::string text = nb::cast<std::string>(name);
      if (!is_array(value)) {
        refuse(op, "argument " + text, value);
      }
      if (!named.emplace(text, read(value)).second) {
        fail(op, "argument ", text, " is given twice.");
      }
    }
  }
  [[noreturn]] static void refuse(const char* op, const std::string& which, nb::handle value) {
    fail(op, which, " is a ", class_name(value),
        "; arguments are arrays: fun(a, b, x=c), or fun((a, b), {\"x\": c}). Wrap numbers in mx.array.");
  }
};

// A Python function as one of C++ arrays.
core::ExportableFunction exportable(nb::handle fun, EvaluationHold& hold) {
  return [fun, &hold](const std::vector<array>& args, const NamedArrays& kwargs) {
    hold.release();
    nb::list positional;
    for (const array& a : args) {
      positional.append(nb::steal(wrap(a)));
    }
    nb::dict named;
    for (const auto& [name, a] : kwargs) {
      named[name.c_str()] = nb::steal(wrap(a));
    }
    Descent guard(" while exporting a function");
    PendingWrites pending; // the same at each call: they are made now
    HandleLog log;
    nb::object result = nb::steal(PyObject_Call(fun.ptr(), nb::tuple(positional).ptr(), named.ptr()));
    if (!result.is_valid()) {
      throw nb::python_error();
    }
    std::vector<array> outputs;
    nb::object results = is_sequence(result) ? result : nb::object(nb::make_tuple(result));
    for (nb::handle output : results) {
      if (!is_array(output)) {
        fail("export_function", "the function returned a ", class_name(result),
            is_sequence(result) ? " with a " + class_name(output) + " in it" : std::string(),
            "; it should return an array, or a tuple or list of arrays.");
      }
      outputs.push_back(read(output));
    }
    pending.take(log);
    for (const auto& [handle, value] : pending.all()) {
      if (value.node()->level >= log.frame()) {
        fail("export_function", "the function writes what it computes from its arguments into ",
            name_of_outer(handle, {&fun, 1}), " of shape ", value.shape(),
            ". A file has no such array: return the value, and write it where the function is called.");
      }
    }
    log.close();
    pending.apply();
    hold.hold();
    return outputs;
  };
}

void check_callable(const char* op, nb::handle fun) {
  if (!PyCallable_Check(fun.ptr())) {
    fail<core::TypeError>(op, "fun is a ", class_name(fun), "; it should be a callable.");
  }
}

// --- a callback instead of a file: it is told about a trace piece by piece ---

class Narrator {
 public:
  explicit Narrator(const core::io::SavedTrace& trace) : trace_(trace), sizes_(trace.body.sizes.at_recording()) {
    size_t own = trace.body.arguments().size();
    for (size_t i = 0; i < program().inputs().size(); ++i) {
      add(program().inputs()[i]);
      if (i >= own) {
        constants_.append(nb::make_tuple(values_[i][0], nb::steal(wrap(trace.body.constants[i - own]))));
      }
    }
    for (const core::Program::Step& step : program().steps()) {
      for (const core::Spec& output : step.outputs) {
        add(output);
      }
    }
  }

  void tell(nb::handle callback) const {
    nb::list inputs, keywords;
    for (size_t i = 0; i < trace_.body.arguments().size(); ++i) {
      inputs.append(values_[i]);
    }
    for (size_t i = 0; i < trace_.keywords.size(); ++i) {
      keywords.append(nb::make_tuple(trace_.keywords[i], values_[trace_.positional + i][0]));
    }
    callback(message("inputs", "inputs", inputs));
    callback(message("keyword_inputs", "keywords", keywords));
    callback(message("outputs", "outputs", values(program().outputs())));
    callback(message("constants", "constants", constants_));
    for (const core::Program::Step& step : program().steps()) {
      nb::list results, arguments;
      for (size_t k = 0; k < step.outputs.size(); ++k) {
        results.append(values_[static_cast<size_t>(step.first) + k]);
      }
      for (const core::Param& param : core::Params(*step.primitive)) {
        arguments.append(std::visit([&](const auto& v) { return argument(v); }, param.value));
      }
      nb::dict d = message("primitive", "name", nb::cast(step.primitive->name()));
      d["inputs"] = values(step.operands);
      d["outputs"] = results;
      d["arguments"] = arguments;
      callback(d);
    }
  }

 private:
  const core::Program& program() const { return *trace_.body.program; }
  static nb::dict message(const char* type, const char* key, nb::object value) {
    nb::dict d;
    d["type"] = type;
    d[key] = value;
    return d;
  }
  // A, B, ... Z, AA, AB, ...
  std::string next_name() {
    std::string name;
    for (int64_t n = named_++; n >= 0; n = n / 26 - 1) {
      name.insert(name.begin(), static_cast<char>('A' + n % 26));
    }
    return name;
  }
  void add(const core::Spec& spec) {
    values_.push_back(nb::make_tuple(next_name(), shape_tuple(sizes_(spec.shape)), dtype_object(spec.dtype)));
  }
  nb::list values(std::span<const int32_t> slots) const {
    nb::list out;
    for (int32_t slot : slots) {
      out.append(values_[static_cast<size_t>(slot)]);
    }
    return out;
  }
  nb::object argument(bool v) const { return nb::bool_(v); }
  nb::object argument(double v) const { return nb::float_(v); }
  nb::object argument(const std::string& v) const { return nb::cast(v); }
  nb::object argument(Dtype v) const { return nb::borrow(dtype_object(v)); }
  nb::object argument(int64_t v) const { return nb::int_(v); }
  nb::object argument(core::Dim v) const { return nb::int_(sizes_(v)); }
  nb::object argument(const core::Shape& v) const { return shape_tuple(sizes_(v)); }
  nb::object argument(const std::vector<int64_t>& v) const { return shape_tuple(core::Shape(v)); }
  nb::object argument(const core::Axes& v) const { return shape_tuple(core::Shape(v.begin(), v.end())); }
  nb::object argument(const core::SharedProgram&) const { return nb::none(); }

  const core::io::SavedTrace& trace_;
  core::SizeValues sizes_;
  std::vector<nb::tuple> values_;
  nb::list constants_;
  int64_t named_ = 0;
};

void tell_callback(nb::handle callback, nb::handle fun, const ArrayArguments& call, bool shapeless) {
  EvaluationHold hold;
  core::ExportableFunction exported = exportable(fun, hold);
  std::vector<array> all(call.positional);
  std::vector<std::string> names;
  for (const auto& [name, a] : call.named) {
    names.push_back(name);
    all.push_back(a);
  }
  auto flat = [&](const std::vector<array>& in) {
    NamedArrays named;
    size_t first = call.positional.size();
    for (size_t i = 0; i < names.size(); ++i) {
      named.emplace(names[i], in[first + i]);
    }
    return exported({in.begin(), in.begin() + static_cast<ptrdiff_t>(first)}, named);
  };
  core::io::SavedTrace trace = core::io::record(flat, all, names, shapeless);
  hold.release();
  Narrator(trace).tell(callback);
}

class Exporter {
 public:
  Exporter(nb::handle file, nb::object fun, bool shapeless, std::optional<std::string> metadata)
      : exporter_(path_of("exporter", file), shapeless, metadata.value_or("")), fun_(std::move(fun)) {
    check_callable("exporter", fun_);
  }
  void call(nb::args args, nb::kwargs kwargs) {
    ArrayArguments call("export_function", args, kwargs);
    EvaluationHold hold;
    exporter_.trace(exportable(fun_, hold), call.positional, call.named);
  }
  void close() { exporter_.close(); }
  void discard() { exporter_.discard(); }

  static int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (nb::inst_ready(self)) {
      Py_VISIT(nb::inst_ptr<Exporter>(self)->fun_.ptr());
    }
    return 0;
  }
  static int clear(PyObject* self) {
    if (nb::inst_ready(self)) {
      nb::inst_ptr<Exporter>(self)->fun_.reset();
    }
    return 0;
  }

 private:
  core::FunctionExporter exporter_;
  nb::object fun_;
};

PyType_Slot exporter_slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(Exporter::traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(Exporter::clear)}, {0, nullptr}};

void bind_exporting(nb::module_& m) {
  m.def(
      "export_function",
      [](nb::handle target, nb::handle fun, nb::args args, bool shapeless, std::optional<std::string> metadata,
          nb::kwargs kwargs) {
        check_callable("export_function", fun);
        ArrayArguments call("export_function", args, kwargs);
        if (PyCallable_Check(target.ptr())) {
          if (metadata) {
            fail("export_function", "metadata is saved in a file; a callback has none.");
          }
          tell_callback(target, fun, call, shapeless);
          return;
        }
        core::FunctionExporter exporter(path_of("export_function", target), shapeless, metadata.value_or(""));
        {
          EvaluationHold hold;
          exporter.trace(exportable(fun, hold), call.positional, call.named);
        }
        exporter.close();
      },
      nb::arg("file_or_callback"), nb::arg("fun"), nb::arg("args"), nb::arg("shapeless") = false,
      nb::arg("metadata") = nb::none(), nb::arg("kwargs"),
      nb::sig(
          "def export_function(file_or_callback: str | os.PathLike[str] | collections.abc.Callable[..., typing.Any], "
          "fun: collections.abc.Callable[..., typing.Any], *args: typing.Any, shapeless: bool = False, metadata: str | "
          "None = None, "
          "**kwargs: typing.Any) -> None"),
      R"(Saves what a function computes, to be called in another program.

The function runs once (with ``shapeless`` perhaps twice) on arrays that have
the shapes and dtypes of the arguments but no values. What it does is written
as operations; arrays that it uses from outside are written with their values,
to the bit, random keys among them. It must not read values of its arguments.

Args:
    file_or_callback (str, path or callable): The file; or a function that is
        given a dictionary for each part of the graph, by ``"type"``:
        ``"inputs"``, ``"keyword_inputs"``, ``"outputs"``, ``"constants"``,
        and a ``"primitive"`` for each operation.
    fun (callable): Takes arrays and returns an array, or a tuple or list of
        arrays. It may be a transformed function.
    *args (array): Arguments, for their shapes and dtypes. They may also be in
        a tuple, followed by a dictionary of those by keyword.
    shapeless (bool, optional): Whether the file also serves arguments of
        other sizes (of the same number of axes). Where the function depends
        on a size other than through the shapes of its operations, or needs
        two sizes to be equal, that is recorded, and calling it with others is
        an error that says so. Default: ``False``.
    metadata (str, optional): A text to keep in the file.
    **kwargs (array): Arguments by keyword.

Raises:
    ValueError: If an argument or a result is no array, if the function reads
        the value of an argument, or if it uses an operation that cannot be
        saved.
    RuntimeError: If the file cannot be written.

The jvp and vjp rules of a custom function (:func:`custom_function`) are
recorded and saved, too. Without a rule that reads values of its cotangents or
tangents, and without its vmap rule, derivatives and batches of what is
imported follow from the function itself.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "f.mlxfn")
    >>> mx.export_function(path, lambda x, y: x * y + 1, mx.array(1.0), mx.array(2.0))
    >>> mx.import_function(path)(mx.array(3.0), mx.array(4.0))
    (array(13, dtype=float32),)
)");

  nb::class_<Exporter>(m, "FunctionExporter", nb::type_slots(exporter_slots), nb::is_weak_referenceable(),
      "Records calls of a function; made by :func:`exporter`.")
      .def("__call__", &Exporter::call, nb::arg("args"), nb::arg("kwargs"),
          nb::sig("def __call__(self, *args: typing.Any, **kwargs: typing.Any) -> None"),
          "Records a call with arguments like these.")
      .def("close", &Exporter::close, nb::sig("def close(self) -> None"), "Writes the file.")
      .def(
          "__enter__", [](nb::object self) { return self; }, nb::sig("def __enter__(self) -> FunctionExporter"))
      .def(
          "__exit__",
          [](Exporter& self, nb::args error) {
            error.size() > 0 && !error[0].is_none() ? self.discard() : self.close();
          },
          nb::sig("def __exit__(self, *error: object) -> None"));
  m.def(
      "exporter",
      [](nb::handle file, nb::object fun, bool shapeless, std::optional<std::string> metadata) {
        return new Exporter(file, std::move(fun), shapeless, std::move(metadata));
      },
      nb::arg("file"), nb::arg("fun"), nb::kw_only(), nb::arg("shapeless") = false, nb::arg("metadata") = nb::none(),
      nb::sig("def exporter(file: str | os.PathLike[str], fun: collections.abc.Callable[..., typing.Any], *, "
              "shapeless: bool = False, "
              "metadata: str | None = None) -> FunctionExporter"),
      R"(Saves several calls of a function in one file.

Args:
    file (str or path): The file. It is written when the exporter is closed,
        as a whole; a ``with`` block that ends in an error writes nothing.
    fun (callable): As for :func:`export_function`.
    shapeless (bool, optional): As for :func:`export_function`.
    metadata (str, optional): A text to keep in the file.

Returns:
    FunctionExporter: Called like ``fun``, it records that call. Arrays that
    calls have in common are saved once.

Raises:
    RuntimeError: From the exporter, if a call like this was recorded already,
        or the exporter is closed.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "f.mlxfn")
    >>> with mx.exporter(path, lambda *xs: sum(xs)) as exporter:
    ...     exporter(mx.array(1.0))
    ...     exporter(mx.array(1.0), mx.array(2.0))
    >>> mx.import_function(path)(mx.array(3.0), mx.array(4.0))
    (array(7, dtype=float32),)
)");
}

void bind_importing(nb::module_& m) {
  nb::class_<core::ImportedFunction>(m, "_ImportedFunction", "A function from a file; see :func:`import_function`.")
      .def(
          "__call__",
          [](const core::ImportedFunction& self, nb::args args, nb::kwargs kwargs) {
            ArrayArguments call("import_function", args, kwargs);
            nb::list outputs;
            for (array& output : self(call.positional, call.named)) {
              outputs.append(nb::steal(wrap(std::move(output))));
            }
            return nb::tuple(outputs);
          },
          nb::arg("args"), nb::arg("kwargs"),
          nb::sig("def __call__(self, *args: typing.Any, **kwargs: typing.Any) -> tuple[array, ...]"));
  m.def(
      "import_function",
      [](nb::handle file, bool return_metadata) -> nb::object {
        core::ImportedFunction function(path_of("import_function", file));
        std::string metadata = function.metadata();
        nb::object out = nb::cast(std::move(function));
        return return_metadata ? nb::object(nb::make_tuple(out, metadata)) : out;
      },
      nb::arg("file"), nb::arg("return_metadata") = false,
      nb::sig("def import_function(file: str | os.PathLike[str], return_metadata: bool = False) -> "
              "collections.abc.Callable[..., typing.Any] | tuple[collections.abc.Callable[..., typing.Any], str]"),
      R"(A function from a file that :func:`export_function` wrote.

The file is checked as a whole: what is damaged is refused with an error.

Args:
    file (str or path): The file.
    return_metadata (bool, optional): Whether to return the text that was
        saved with the function, too. Default: ``False``.

Returns:
    callable, or a pair of callable and str: The function. It takes arrays by
    position and keyword, or a tuple and a dictionary of them, and returns a
    tuple of arrays. It consists of ordinary operations: ``grad``, ``vmap``,
    ``jvp`` and the other transforms apply to it.

Raises:
    RuntimeError: If the file cannot be read.
    ValueError: If it is no such file, or is damaged. From the function: if no
        call with such shapes and dtypes was recorded; the message lists
        those that were.

Example:
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "f.mlxfn")
    >>> mx.export_function(path, mx.sin, mx.array([1.0, 2.0]), shapeless=True)
    >>> f = mx.import_function(path)
    >>> mx.grad(lambda x: mx.sum(f(x)[0]))(mx.array([0.0]))
    array([1], dtype=float32)
)");
}

} // namespace

void bind_export(nb::module_& m) {
  bind_exporting(m);
  bind_importing(m);
}

} // namespace mlx::python
