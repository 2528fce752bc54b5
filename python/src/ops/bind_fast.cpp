// mlx.core.fast: kernels of the user's own.
#include "mlx_core/fast.h"

#include <climits>

#include "mlx_core/error.h"
#include "python/src/ops/bind_ops.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

namespace fast = core::fast;
using core::CustomKernel;
using core::fail;
using core::MathMode;
using core::TypeError;

constexpr const char* metal_doc = R"(A kernel for the GPU, in Metal's shading language.

``source`` is the body of the kernel's function; the function around it is written for each call. Its arguments are

- the inputs: ``const device T* name``, for fewer than 8 elements ``const constant T* name``, and without axes
  ``const constant T& name``;
- ``name_shape``, ``name_strides`` and ``name_ndim`` of an input with axes, where the source speaks of them;
- the outputs: ``device T* name``, or ``device atomic<T>* name`` with ``atomic_outputs``;
- what Metal tells each thread, such as ``thread_position_in_grid``, where the source speaks of it.

Args:
    name: A name for the kernel: an identifier.
    input_names, output_names: The names of the arguments in the source.
    source: The body of the function. Compiled when a result is first computed; a mistake in it is a RuntimeError with
      the compiler's messages, whose lines are those of the source.
    header: What stands in front of the function: helper functions, constants.
    ensure_row_contiguous: Whether inputs are made row-major before the kernel runs.
    atomic_outputs: Whether outputs are atomics, to which several threads may add.
    compile_options: ``{"math_mode": "safe" | "relaxed" | "fast"}``; ``"safe"`` is the default.

Returns:
    A callable that takes ``inputs``, ``output_shapes``, ``output_dtypes``, ``grid`` (threads along three axes),
    ``threadgroup`` (threads of a group), ``template`` (a list of names with an int, bool or Dtype), ``init_value``,
    ``verbose`` (prints what is compiled) and ``stream``, and gives the outputs as a list of arrays. They are lazy, go
    through compile and vmap, and have no derivative: see docs/custom_kernels.md.

Example::

    kernel = mx.fast.metal_kernel(
        name="exponential", input_names=["x"], output_names=["out"],
        source="uint i = thread_position_in_grid.x; out[i] = metal::exp(x[i]);")
    (y,) = kernel(inputs=[x], output_shapes=[x.shape], output_dtypes=[x.dtype],
                  grid=(x.size, 1, 1), threadgroup=(256, 1, 1))
)";

constexpr const char* call_doc = R"(Runs the kernel on the GPU.

Args:
    inputs: Arrays or numbers, one for each of ``input_names``.
    output_shapes, output_dtypes: One for each of ``output_names``.
    grid: How many threads along three axes.
    threadgroup: How many of them are one group: at most 1024 in all. A length above the grid's counts as that.
    template: Pairs of a name and an int, a bool or a Dtype: parameters of the function's template.
    init_value: What the outputs hold before the kernel runs; without it they hold anything.
    verbose: Prints the text that is compiled.
    stream: A stream of the GPU.

ValueError for what does not fit, RuntimeError where there is no GPU.)";

std::vector<array> inputs_of(nb::handle inputs) {
  if (is_array(inputs)) {
    fail<TypeError>("metal_kernel", "inputs is an array; it should be a list of arrays and numbers.");
  }
  nb::object items = nb::steal(PySequence_Tuple(inputs.ptr()));
  if (!items.is_valid()) {
    PyErr_Clear();
    fail<TypeError>("metal_kernel", "inputs is ", described(inputs), "; it should be a list of arrays and numbers.");
  }
  return arrays_of("metal_kernel", "inputs", nb::borrow<nb::args>(items));
}

CustomKernel::Value value_of(const std::string& name, nb::handle value) {
  if (PyBool_Check(value.ptr())) {
    return value.ptr() == Py_True;
  }
  if (Dtype dtype; nb::try_cast(value, dtype, false)) {
    return dtype;
  }
  if (!PyIndex_Check(value.ptr()) || is_array(value)) {
    fail<TypeError>("metal_kernel", "template gives ", name, " the value ", described(value),
        "; it should be an int, a bool or a Dtype.");
  }
  nb::object number = nb::steal(PyNumber_Index(value.ptr()));
  int overflow = 0;
  long all = number.is_valid() ? PyLong_AsLongAndOverflow(number.ptr(), &overflow) : 0;
  if (!number.is_valid()) {
    throw nb::python_error();
  }
  if (overflow != 0 || all > INT_MAX || all < INT_MIN) {
    fail("metal_kernel", "template gives ", name, " a value that an int of 32 bits does not hold.");
  }
  return static_cast<int>(all);
}

std::vector<std::pair<std::string, CustomKernel::Value>> template_of(nb::handle pairs) {
  std::vector<std::pair<std::string, CustomKernel::Value>> out;
  if (pairs.is_none()) {
    return out;
  }
  constexpr const char* expected = "; it should be a list of pairs of a name and a value.";
  nb::object items = nb::steal(PySequence_Tuple(pairs.ptr()));
  if (!items.is_valid()) {
    PyErr_Clear();
    fail<TypeError>("metal_kernel", "template is ", described(pairs), expected);
  }
  for (nb::handle item : nb::borrow<nb::tuple>(items)) {
    nb::object pair = PyUnicode_Check(item.ptr()) ? nb::object() : nb::steal(PySequence_Tuple(item.ptr()));
    std::string name;
    if (!pair.is_valid() || PyTuple_GET_SIZE(pair.ptr()) != 2 ||
        !nb::try_cast(nb::handle(PyTuple_GET_ITEM(pair.ptr(), 0)), name, false)) {
      PyErr_Clear();
      fail<TypeError>("metal_kernel", "template has the entry ", described(item), expected);
    }
    out.emplace_back(name, value_of(name, PyTuple_GET_ITEM(pair.ptr(), 1)));
  }
  return out;
}

MathMode math_mode(nb::handle options) {
  MathMode mode = MathMode::safe;
  if (options.is_none()) {
    return mode;
  }
  if (!PyDict_Check(options.ptr())) {
    fail<TypeError>("metal_kernel", "compile_options is ", described(options), "; it should be a dict.");
  }
  for (auto [key, value] : nb::borrow<nb::dict>(options)) {
    if (!nb::str("math_mode").equal(key)) {
      fail("metal_kernel", "compile_options has the key ", described(key), "; there is \"math_mode\".");
    }
    if (nb::str("safe").equal(value)) {
      mode = MathMode::safe;
    } else if (nb::str("relaxed").equal(value)) {
      mode = MathMode::relaxed;
    } else if (nb::str("fast").equal(value)) {
      mode = MathMode::fast;
    } else {
      fail("metal_kernel", "math_mode is ", described(value), "; it should be \"safe\", \"relaxed\" or \"fast\".");
    }
  }
  return mode;
}

void bind_kernel(nb::module_& m) {
  nb::class_<CustomKernel>(m, "CustomKernel", "What `metal_kernel` returns: calling it runs the kernel.")
      .def(
          "__call__",
          [](const CustomKernel& kernel, nb::object inputs, std::vector<Shape> output_shapes,
              std::vector<Dtype> output_dtypes, Shape grid, Axes threadgroup, nb::object template_values,
              std::optional<double> init_value, bool verbose, StreamOrDevice s) {
            fast::CustomKernelCall call{std::move(output_shapes), std::move(output_dtypes), std::move(grid),
                std::move(threadgroup), template_of(template_values), init_value};
            std::vector<array> arrays = inputs_of(inputs), outputs = fast::call(kernel, arrays, call, s);
            if (verbose) {
              nb::print(nb::str(fast::text_of(kernel, arrays, call).c_str()));
            }
            return out_list(outputs);
          },
          nb::kw_only(), "inputs"_a, "output_shapes"_a, "output_dtypes"_a, "grid"_a, "threadgroup"_a,
          "template"_a = nb::none(), "init_value"_a = nb::none(), "verbose"_a = false, "stream"_a = nb::none(),
          nb::sig("def __call__(self, *, inputs: collections.abc.Sequence[scalar | array], "
                  "output_shapes: collections.abc.Sequence[collections.abc.Sequence[int]], "
                  "output_dtypes: collections.abc.Sequence[Dtype], grid: tuple[int, int, int], "
                  "threadgroup: tuple[int, int, int], "
                  "template: collections.abc.Sequence[tuple[str, bool | int | Dtype]] | None = None, "
                  "init_value: float | None = None, verbose: bool = False, stream: StreamOrDevice = None) "
                  "-> list[array]"),
          call_doc)
      .def(
          "__reduce__",
          [](const CustomKernel& kernel) {
            constexpr const char* modes[] = {"safe", "relaxed", "fast"};
            nb::dict options;
            options["math_mode"] = modes[static_cast<int>(kernel.math)];
            return nb::make_tuple(nb::module_::import_("mlx.core.fast").attr("metal_kernel"),
                nb::make_tuple(kernel.name, nb::cast(kernel.input_names), nb::cast(kernel.output_names), kernel.source,
                    kernel.header, kernel.ensure_row_contiguous, kernel.atomic_outputs, options));
          },
          nb::sig("def __reduce__(self) -> tuple[typing.Any, ...]"))
      .def("__repr__", [](const CustomKernel& kernel) { return "metal_kernel(name='" + kernel.name + "')"; })
      .def_ro("name", &CustomKernel::name, "The kernel's name.");
  m.def(
      "metal_kernel",
      [](std::string name, std::vector<std::string> input_names, std::vector<std::string> output_names,
          std::string source, std::string header, bool ensure_row_contiguous, bool atomic_outputs, nb::object options) {
        CustomKernel kernel{std::move(name), std::move(input_names), std::move(output_names), std::move(source),
            std::move(header), ensure_row_contiguous, atomic_outputs, math_mode(options), {}};
        fast::check(kernel);
        return kernel;
      },
      "name"_a, "input_names"_a, "output_names"_a, "source"_a, "header"_a = "", "ensure_row_contiguous"_a = true,
      "atomic_outputs"_a = false, "compile_options"_a = nb::none(),
      nb::sig("def metal_kernel(name: str, input_names: collections.abc.Sequence[str], "
              "output_names: collections.abc.Sequence[str], source: str, header: str = '', "
              "ensure_row_contiguous: bool = True, atomic_outputs: bool = False, "
              "compile_options: dict[str, str] | None = None) -> CustomKernel"),
      metal_doc);
}

// They are there so that programs can ask for them, and say that there is none.
void bind_cuda(nb::module_& m) {
  m.def(
      "cuda_kernel",
      [](std::string name, std::vector<std::string> inputs, std::vector<std::string> outputs, std::string source,
          std::string header, bool ensure_row_contiguous, int shared_memory) {
        fast::cuda_kernel(name, inputs, outputs, source, header, ensure_row_contiguous, shared_memory);
      },
      "name"_a, "input_names"_a, "output_names"_a, "source"_a, "header"_a = "", "ensure_row_contiguous"_a = true,
      "shared_memory"_a = 0,
      nb::sig("def cuda_kernel(name: str, input_names: collections.abc.Sequence[str], "
              "output_names: collections.abc.Sequence[str], source: str, header: str = '', "
              "ensure_row_contiguous: bool = True, shared_memory: int = 0) -> CustomKernel"),
      "A kernel for NVIDIA's GPUs. RuntimeError: this build has no CUDA (``mx.cuda.is_available()``).");
  m.def(
      "precompiled_cuda_kernel",
      [](std::string name, nb::bytes, nb::object, std::vector<Shape>, std::vector<Dtype>, nb::object, Shape, Shape, int,
          std::optional<double>, bool, StreamOrDevice) {
        fast::precompiled_cuda_kernel(name, "", {}, {}, {}, {}, {1, 1, 1}, {1, 1, 1});
        return std::vector<array>();
      },
      nb::kw_only(), "name"_a, "compiled_source"_a, "inputs"_a, "output_shapes"_a, "output_dtypes"_a, "scalars"_a,
      "grid"_a, "threadgroup"_a, "shared_memory"_a = 0, "init_value"_a = nb::none(), "ensure_row_contiguous"_a = false,
      "stream"_a = nb::none(),
      nb::sig("def precompiled_cuda_kernel(*, name: str, compiled_source: bytes, "
              "inputs: collections.abc.Sequence[scalar | array], "
              "output_shapes: collections.abc.Sequence[collections.abc.Sequence[int]], "
              "output_dtypes: collections.abc.Sequence[Dtype], scalars: collections.abc.Sequence[object], "
              "grid: tuple[int, int, int], threadgroup: tuple[int, int, int], shared_memory: int = 0, "
              "init_value: float | None = None, ensure_row_contiguous: bool = False, "
              "stream: StreamOrDevice = None) -> list[array]"),
      "Runs a compiled kernel on NVIDIA's GPUs. RuntimeError: this build has no CUDA (``mx.cuda.is_available()``).");
}

} // namespace

void bind_fast(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("fast", "What transformers are made of, and kernels of one's own.");
  bind_fast_functions(m);
  bind_kernel(m);
  bind_cuda(m);
}

} // namespace mlx::python
