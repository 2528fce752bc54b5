// Writes the function around the body that the user wrote.
#include "mlx_core/backend/custom_kernel.h"

#include <algorithm>

namespace mlx::core {

namespace {

struct ThreadAttribute {
  const char* name;
  const char* type;
};
constexpr ThreadAttribute thread_attributes[] = {
    {"dispatch_quadgroups_per_threadgroup", "uint"},
    {"dispatch_simdgroups_per_threadgroup", "uint"},
    {"dispatch_threads_per_threadgroup", "uint3"},
    {"grid_origin", "uint3"},
    {"grid_size", "uint3"},
    {"quadgroup_index_in_threadgroup", "uint"},
    {"quadgroups_per_threadgroup", "uint"},
    {"simdgroup_index_in_threadgroup", "uint"},
    {"simdgroups_per_threadgroup", "uint"},
    {"thread_execution_width", "uint"},
    {"thread_index_in_quadgroup", "uint"},
    {"thread_index_in_simdgroup", "uint"},
    {"thread_index_in_threadgroup", "uint"},
    {"thread_position_in_grid", "uint3"},
    {"thread_position_in_threadgroup", "uint3"},
    {"threadgroup_position_in_grid", "uint3"},
    {"threadgroups_per_grid", "uint3"},
    {"threads_per_grid", "uint3"},
    {"threads_per_simdgroup", "uint"},
    {"threads_per_threadgroup", "uint3"},
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_word(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

// Whether the text has this word, not as a part of another one.
bool mentions(std::string_view text, std::string_view word) {
  for (size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; at += word.size()) {
    size_t end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) {
      return true;
    }
  }
  return false;
}

std::string as_text(const CustomKernel::Value& value) {
  if (const Dtype* dtype = std::get_if<Dtype>(&value)) {
    return custom_type(*dtype);
  }
  if (const bool* flag = std::get_if<bool>(&value)) {
    return *flag ? "true" : "false";
  }
  return std::to_string(std::get<int>(value));
}

const char* kind_of(const CustomKernel::Value& value) {
  return std::holds_alternative<Dtype>(value) ? "typename" : std::holds_alternative<bool>(value) ? "bool" : "int";
}

} // namespace

const char* custom_type(Dtype dtype) {
  switch (dtype.val) {
    case Dtype::Val::bool_: return "bool";
    case Dtype::Val::uint8: return "uint8_t";
    case Dtype::Val::uint16: return "uint16_t";
    case Dtype::Val::uint32: return "uint32_t";
    case Dtype::Val::uint64: return "uint64_t";
    case Dtype::Val::int8: return "int8_t";
    case Dtype::Val::int16: return "int16_t";
    case Dtype::Val::int32: return "int32_t";
    case Dtype::Val::int64: return "int64_t";
    case Dtype::Val::float16: return "float16_t";
    case Dtype::Val::bfloat16: return "bfloat16_t";
    case Dtype::Val::float32: return "float";
    case Dtype::Val::complex64: return "complex64_t";
    case Dtype::Val::float64:
    case Dtype::Val::complex128: break;
  }
  return nullptr;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text[0]) && std::all_of(text.begin(), text.end(), is_word);
}

bool is_thread_attribute(std::string_view name) {
  return std::any_of(std::begin(thread_attributes), std::end(thread_attributes),
      [&](const ThreadAttribute& attribute) { return name == attribute.name; });
}

CustomKernel::Asked CustomKernel::asked_of(size_t input, int ndim) const {
  auto asks = [&](const char* what) {
    std::string word = input_names[input] + what;
    auto taken = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), word) != names.end();
    };
    return ndim > 0 && mentions(source, word) && !taken(input_names) && !taken(output_names);
  };
  return {asks("_shape"), asks("_strides"), asks("_ndim")};
}

size_t CustomKernel::argument_count(std::span<const Input> inputs) const {
  size_t count = inputs.size() + output_names.size();
  for (size_t i = 0; i < inputs.size(); ++i) {
    Asked asked = asked_of(i, inputs[i].ndim);
    count += static_cast<size_t>(asked.shape + asked.strides + asked.ndim);
  }
  return count;
}

std::string CustomKernel::function_name() const {
  std::string name = "custom_kernel_" + this->name;
  for (const auto& [parameter, value] : template_values) {
    std::string text = as_text(value);
    std::replace(text.begin(), text.end(), '-', '_');
    name += "_" + text;
  }
  return name;
}

std::string CustomKernel::text(std::span<const Input> inputs, std::span<const Dtype> outputs) const {
  std::string out = "#include \"custom_kernel.h\"\n";
  if (!header.empty()) {
    out += "#line 1 \"" + name + " header\"\n" + header + "\n#line 1 \"" + name + " signature\"\n";
  }
  if (!template_values.empty()) {
    out += "template <";
    for (size_t i = 0; i < template_values.size(); ++i) {
      out += (i ? ", " : "") + std::string(kind_of(template_values[i].second)) + " " + template_values[i].first;
    }
    out += ">\n";
  }
  std::string function = template_values.empty() ? function_name() : "custom_kernel_" + name;
  out += "[[kernel]] void " + function + "(";
  int slot = 0;
  const char* comma = "\n    ";
  auto argument = [&](const std::string& type, const std::string& name) {
    out += comma + type + " " + name + " [[buffer(" + std::to_string(slot++) + ")]]";
    comma = ",\n    ";
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Input& input = inputs[i];
    const std::string& name = input_names[i];
    std::string type = custom_type(input.dtype);
    argument(
        (is_constant(input.size) ? "const constant " : "const device ") + type + (input.ndim == 0 ? "&" : "*"), name);
    Asked asked = asked_of(i, input.ndim);
    if (asked.shape) {
      argument("const constant int*", name + "_shape");
    }
    if (asked.strides) {
      argument("const constant int64_t*", name + "_strides");
    }
    if (asked.ndim) {
      argument("const constant int&", name + "_ndim");
    }
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    std::string type = custom_type(outputs[i]);
    argument("device " + (atomic_outputs ? "atomic<" + type + ">" : type) + "*", output_names[i]);
  }
  for (const ThreadAttribute& attribute : thread_attributes) {
    if (mentions(source, attribute.name) || mentions(header, attribute.name)) {
      out += comma + std::string(attribute.type) + " " + attribute.name + " [[" + attribute.name + "]]";
      comma = ",\n    ";
    }
  }
  out += ") {\n#line 1 \"" + name + "\"\n" + source + "\n}\n";
  if (!template_values.empty()) {
    std::string instance = function + "<";
    for (size_t i = 0; i < template_values.size(); ++i) {
      instance += (i ? ", " : "") + as_text(template_values[i].second);
    }
    instance += ">";
    out += "#line 1 \"" + name + " instance\"\ntemplate [[host_name(\"" + function_name() +
           "\")]] [[kernel]] decltype(" + instance + ") " + instance + ";\n";
  }
  return out;
}

} // namespace mlx::core
