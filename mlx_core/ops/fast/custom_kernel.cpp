// metal_kernel: kernels that users write, as operations.
#include <algorithm>
#include <array>
#include <iostream>
#include <sstream>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/fast.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

namespace {

constexpr const char* op = "metal_kernel";
constexpr size_t most_arguments = 31; // slots that Metal has
constexpr int64_t most_threads = UINT32_MAX;

using fast::CustomKernelCall;
using Values = std::vector<std::pair<std::string, CustomKernel::Value>>;

// Lists of names, dtypes and values as text, which is what parameters can be.
template <typename List, typename Text>
std::string joined(const List& list, Text text) {
  std::string out;
  for (const auto& each : list) {
    out.append(out.empty() ? "" : ",").append(text(each));
  }
  return out;
}
std::string joined(const std::vector<std::string>& names) {
  return joined(names, [](const std::string& name) { return name; });
}
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string each; std::getline(in, each, ',');) {
    out.push_back(each);
  }
  return out;
}

std::optional<Dtype> dtype_named(std::string_view name) {
  for (int i = 0; i < dtype_count; ++i) {
    if (Dtype dtype(static_cast<Dtype::Val>(i)); name_of(dtype) == name) {
      return dtype;
    }
  }
  return std::nullopt;
}

std::string text_of(const Values& values) {
  return joined(values, [](const auto& entry) {
    const auto& [name, value] = entry;
    const Dtype* dtype = std::get_if<Dtype>(&value);
    const bool* flag = std::get_if<bool>(&value);
    return name + "=" +
           (dtype     ? std::string(name_of(*dtype))
               : flag ? std::string(*flag ? "true" : "false")
                      : std::to_string(std::get<int>(value)));
  });
}
Values values_of(const std::string& text) {
  Values out;
  for (const std::string& entry : split(text)) {
    size_t sign = entry.find('=');
    Parts::require(sign != std::string::npos, "a value of a template has no name.");
    std::string name = entry.substr(0, sign), value = entry.substr(sign + 1);
    if (std::optional<Dtype> dtype = dtype_named(value)) {
      out.emplace_back(name, *dtype);
    } else if (value == "true" || value == "false") {
      out.emplace_back(name, value == "true");
    } else {
      char* end = nullptr;
      long number = std::strtol(value.c_str(), &end, 10);
      Parts::require(!value.empty() && !*end && number == static_cast<int>(number), "a value of a template is none.");
      out.emplace_back(name, static_cast<int>(number));
    }
  }
  return out;
}

// Its operands have `batch_axes` axes in front of those that the kernel knows of.
class CustomKernelOp final : public Primitive {
 public:
  CustomKernelOp(CustomKernel kernel, CustomKernelCall call, int batch_axes)
      : kernel_(std::move(kernel)), call_(std::move(call)), batch_axes_(batch_axes) {
    kernel_.template_values = call_.template_values;
  }

  const char* name() const override { return "CustomKernel"; }
  void visit(ParamVisitor& v) const override {
    v("name", kernel_.name);
    v("inputs", joined(kernel_.input_names));
    v("outputs", joined(kernel_.output_names));
    v("source", kernel_.source);
    v("header", kernel_.header);
    v("ensure_row_contiguous", kernel_.ensure_row_contiguous);
    v("atomic_outputs", kernel_.atomic_outputs);
    v("math_mode", static_cast<int64_t>(kernel_.math));
    v("template", text_of(call_.template_values));
    Shape lengths; // of the outputs, one after the other
    std::vector<int64_t> ranks;
    for (const Shape& shape : call_.output_shapes) {
      ranks.push_back(static_cast<int64_t>(shape.size()));
      for (Dim length : shape) {
        lengths.push_back(length);
      }
    }
    v("ranks", std::span<const int64_t>(ranks));
    v("shapes", lengths);
    v("dtypes", joined(call_.output_dtypes, name_of_output));
    v("grid", call_.grid);
    v("threadgroup", call_.threadgroup);
    v("has_init_value", call_.init_value.has_value());
    v("init_value", call_.init_value.value_or(0));
    v("batch_axes", batch_axes_);
  }

  int output_count() const override { return static_cast<int>(kernel_.output_names.size()); }
  Specs infer(Operands operands) const override {
    Specs specs;
    for (size_t i = 0; i < call_.output_shapes.size(); ++i) {
      Shape shape;
      for (int axis = 0; axis < batch_axes_; ++axis) {
        shape.push_back(operands[0].shape(axis));
      }
      for (Dim length : call_.output_shapes[i]) {
        shape.push_back(length);
      }
      specs.push_back({std::move(shape), call_.output_dtypes[i]});
    }
    return specs;
  }

  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    std::vector<View> read, written;
    for (const array& operand : operands) {
      read.push_back(operand.view());
    }
    for (array& output : outputs) {
      output.allocate();
      written.push_back(output.view());
      if (call_.init_value) {
        fill(output, kernels);
      }
    }
    std::array<int64_t, 3> grid, threadgroup;
    for (size_t i = 0; i < 3; ++i) {
      grid[i] = call_.grid[i];
      threadgroup[i] = call_.threadgroup[i];
      if (grid[i] < 0 || grid[i] > most_threads) {
        fail(op, "The grid of the kernel ", kernel_.name, " is ", call_.grid,
            "; each of the three lengths is from 0 to ", most_threads, ".");
      }
    }
    kernels.run(kernel::Custom{kernel_, read, written, static_cast<size_t>(batch_axes_), grid, threadgroup});
  }

  Tangents jvp(Operands, const Tangents&, Operands outputs) const override {
    no_derivative(outputs);
    return Tangents(outputs.size());
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool>) const override {
    if (std::any_of(cotangents.begin(), cotangents.end(), [](const Tangent& t) { return t.has_value(); })) {
      no_derivative(outputs);
    }
    return Tangents(primals.size());
  }
  // One place of a batch after the other, with a dispatch for each: the kernel knows nothing of it.
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    std::vector<array> batched;
    for (size_t i = 0; i < operands.size(); ++i) {
      batched.push_back(batch_first(operands[i], axes[i], lanes));
    }
    std::vector<array> outputs = applied_many(make_primitive<CustomKernelOp>(kernel_, call_, batch_axes_ + 1), batched);
    MapAxes firsts(outputs.size(), 0);
    return {std::move(outputs), std::move(firsts)};
  }

 private:
  static std::string name_of_output(Dtype dtype) { return std::string(core::name_of(dtype)); }

  void fill(array& output, Kernels& kernels) const {
    alignas(16) unsigned char element[16];
    store_element(element, output.dtype(), complex128_t(*call_.init_value));
    View to = output.view();
    View from{nullptr, 0, element, to.dtype, to.sizes, Strides(to.sizes.size(), 0)};
    kernels.run(kernel::Copy{from, to});
  }
  void no_derivative(Operands outputs) const {
    if (std::any_of(outputs.begin(), outputs.end(), [](const array& a) { return a.dtype().is_inexact(); })) {
      fail(op, "The kernel ", kernel_.name,
          " has no derivative: what it computes is not known. Call it in a function with rules of its own "
          "(mx.custom_function).");
    }
  }

  CustomKernel kernel_;
  CustomKernelCall call_;
  int batch_axes_;
};

void check_dtype(const std::string& what, Dtype dtype) {
  if (!custom_type(dtype)) {
    fail(op, what, " is ", dtype, ", which Metal does not have; use ", dtype == float64 ? "float32" : "complex64", ".");
  }
}

void check_counts(const char* what, size_t got, const char* names, size_t expected) {
  if (got != expected) {
    fail(op, what, " has ", got, " entries, but there are ", expected, " ", names, ".");
  }
}

// Everything that can be said of a call before it is computed.
void check_call(const CustomKernel& kernel, const std::vector<array>& inputs, const CustomKernelCall& call) {
  check_counts("inputs", inputs.size(), "input_names", kernel.input_names.size());
  check_counts("output_shapes", call.output_shapes.size(), "output_names", kernel.output_names.size());
  check_counts("output_dtypes", call.output_dtypes.size(), "output_names", kernel.output_names.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    check_dtype("inputs[" + std::to_string(i) + "]", inputs[i].dtype());
  }
  for (size_t i = 0; i < call.output_dtypes.size(); ++i) {
    check_dtype("output_dtypes[" + std::to_string(i) + "]", call.output_dtypes[i]);
    check_shape(op, call.output_shapes[i]);
  }
  if (call.grid.size() != 3 || call.threadgroup.size() != 3) {
    fail(op, "grid is ", call.grid, " and threadgroup is ", call.threadgroup, "; each has three lengths.");
  }
  for (Dim length : call.grid) {
    if (!length.is_symbolic() && (length < 0 || length > most_threads)) {
      fail(op, "grid is ", call.grid, "; each of the three lengths is from 0 to ", most_threads, ".");
    }
  }
  int64_t threads = 1;
  for (int length : call.threadgroup) {
    if (length < 1 || length > 1024 || (threads *= length) > 1024) {
      fail(op, "threadgroup is ", call.threadgroup,
          "; the three lengths are positive, and their product, the threads of a group, is at most 1024.");
    }
  }
  for (const auto& [name, value] : call.template_values) {
    if (!is_identifier(name)) {
      fail(op, "template has the name '", name, "', which is no identifier.");
    }
    if (const Dtype* dtype = std::get_if<Dtype>(&value)) {
      check_dtype("the value of " + name + " in template", *dtype);
    }
  }
}

std::vector<CustomKernel::Input> kinds_of(const std::vector<array>& inputs) {
  std::vector<CustomKernel::Input> kinds;
  for (const array& input : inputs) {
    // Of a symbolic size only whether there are axes counts here.
    kinds.push_back({input.dtype(), input.ndim(),
        input.size().is_symbolic() ? CustomKernel::most_constant : static_cast<int64_t>(input.size())});
  }
  return kinds;
}

} // namespace

namespace fast {

void check(const CustomKernel& kernel) {
  if (!is_identifier(kernel.name)) {
    fail(op, "name is '", kernel.name, "'; it becomes a part of a function's name: letters, digits and underscores.");
  }
  if (kernel.output_names.empty()) {
    fail(op, "output_names is empty; a kernel has at least one output.");
  }
  std::vector<std::string> seen;
  for (const auto* names : {&kernel.input_names, &kernel.output_names}) {
    const char* list = names == &kernel.input_names ? "input_names" : "output_names";
    for (const std::string& name : *names) {
      if (!is_identifier(name)) {
        fail(op, list, " has '", name, "', which is no identifier.");
      }
      if (is_thread_attribute(name)) {
        fail(op, list, " has '", name, "', which is the name of something that Metal tells each thread.");
      }
      if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
        fail(op, list, " has '", name, "', which is the name of another input or output.");
      }
      seen.push_back(name);
    }
  }
}

std::string text_of(const CustomKernel& kernel, const std::vector<array>& inputs, const CustomKernelCall& call) {
  CustomKernel complete = kernel;
  complete.template_values = call.template_values;
  return complete.text(kinds_of(inputs), call.output_dtypes);
}

std::vector<array> call(
    const CustomKernel& kernel, const std::vector<array>& inputs, const CustomKernelCall& call, StreamOrDevice s) {
  if (!is_available(Device::gpu)) {
    fail<std::runtime_error>(op, "The kernel ", kernel.name,
        " needs the Metal backend, which this build or this machine lacks; ask mx.metal.is_available() first.");
  }
  check_call(kernel, inputs, call);
  size_t arguments = kernel.argument_count(kinds_of(inputs));
  if (arguments > most_arguments) {
    fail(op, "The kernel ", kernel.name, " has ", arguments,
        " arguments, shapes and strides that it speaks of included; ", "there may be ", most_arguments, ".");
  }
  StreamScope scope(s);
  if (Stream stream = stream_at(current_stream()); stream.device != Device::gpu) {
    fail(op, "The kernel ", kernel.name, " runs on the GPU, but it is called on ", to_string(stream),
        ". Give stream=mx.gpu, or make the GPU the default with mx.set_default_device(mx.gpu).");
  }
  return applied_many(make_primitive<CustomKernelOp>(kernel, call, 0), inputs);
}

CustomKernelFunction metal_kernel(const std::string& name, const std::vector<std::string>& input_names,
    const std::vector<std::string>& output_names, const std::string& source, const std::string& header,
    bool ensure_row_contiguous, bool atomic_outputs, MathMode math) {
  CustomKernel kernel{name, input_names, output_names, source, header, ensure_row_contiguous, atomic_outputs, math, {}};
  check(kernel);
  return [kernel](const std::vector<array>& inputs, const std::vector<Shape>& shapes, const std::vector<Dtype>& dtypes,
             std::tuple<int, int, int> grid, std::tuple<int, int, int> threadgroup, Values template_args,
             std::optional<float> init_value, bool verbose, StreamOrDevice s) {
    auto [gx, gy, gz] = grid;
    auto [tx, ty, tz] = threadgroup;
    CustomKernelCall call{shapes, dtypes, {gx, gy, gz}, {tx, ty, tz}, std::move(template_args), init_value};
    std::vector<array> outputs = fast::call(kernel, inputs, call, s);
    if (verbose) {
      std::cout << text_of(kernel, inputs, call) << std::endl;
    }
    return outputs;
  };
}

namespace {
[[noreturn]] void no_cuda(const char* op) {
  fail<std::runtime_error>(op,
      "This build has no CUDA backend; mx.cuda.is_available() says so. Kernels for Apple's GPUs "
      "are made with mx.fast.metal_kernel.");
}
} // namespace

CustomKernelFunction cuda_kernel(const std::string&, const std::vector<std::string>&, const std::vector<std::string>&,
    const std::string&, const std::string&, bool, int) {
  no_cuda("cuda_kernel");
}
std::vector<array> precompiled_cuda_kernel(const std::string&, const std::string&, const std::vector<array>&,
    const std::vector<Shape>&, const std::vector<Dtype>&, const std::vector<ScalarArg>&, std::tuple<int, int, int>,
    std::tuple<int, int, int>, int, std::optional<float>, bool, StreamOrDevice) {
  no_cuda("precompiled_cuda_kernel");
}

} // namespace fast

std::span<const Remake> custom_kernel_remakes() {
  static constexpr Remake rows[] = {
      {"CustomKernel", [](const Parts& p) {
         CustomKernel kernel;
         kernel.name = p.text("name");
         kernel.input_names = split(p.text("inputs"));
         kernel.output_names = split(p.text("outputs"));
         kernel.source = p.text("source");
         kernel.header = p.text("header");
         kernel.ensure_row_contiguous = p.flag("ensure_row_contiguous");
         kernel.atomic_outputs = p.flag("atomic_outputs");
         int math = p.integer("math_mode");
         Parts::require(math >= 0 && math <= static_cast<int>(MathMode::fast), "there is no such math mode.");
         kernel.math = static_cast<MathMode>(math);
         fast::check(kernel);
         CustomKernelCall call;
         Shape ranks = p.shape("ranks"), lengths = p.shape("shapes");
         size_t next = 0;
         for (int64_t rank : ranks) {
           Parts::require(
               rank >= 0 && static_cast<size_t>(rank) <= lengths.size() - next, "an output's shape is missing.");
           auto first = lengths.begin() + static_cast<ptrdiff_t>(next);
           call.output_shapes.emplace_back(first, first + rank);
           next += static_cast<size_t>(rank);
         }
         for (const std::string& name : split(p.text("dtypes"))) {
           std::optional<Dtype> dtype = dtype_named(name);
           Parts::require(dtype.has_value(), "there is no such dtype.");
           call.output_dtypes.push_back(*dtype);
         }
         call.grid = p.shape("grid");
         for (Dim length : p.shape("threadgroup")) {
           call.threadgroup.push_back(static_cast<int>(int64_t{length}));
         }
         call.template_values = values_of(p.text("template"));
         if (p.flag("has_init_value")) {
           call.init_value = p.number("init_value");
         }
         auto f = [&](const std::vector<array>& inputs) { return fast::call(kernel, inputs, call); };
         return over_leading(p.integer("batch_axes"), f, p.operands());
       }}};
  return rows;
}

} // namespace mlx::core
