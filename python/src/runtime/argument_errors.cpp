// Calls whose arguments do not fit: finding out which argument it was from the function's signature, and saying it.
#include "python/src/runtime/argument_errors.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "mlx_core/error.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/exceptions.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

using Words = std::vector<std::string>;

struct Parameter {
  std::string name, type; // as the signature has them; no type for self
  bool optional = false;
  bool by_name_only = false;
  bool rest = false; // *args or **kwargs
};

std::string trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \n"), last = text.find_last_not_of(" \n");
  return first == text.npos ? std::string() : std::string(text.substr(first, last - first + 1));
}

// The parts between separators that are in no bracket and no string.
Words split_outside(std::string_view text, char separator) {
  Words parts;
  int depth = 0;
  char quote = 0;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quote) {
      quote = c == quote ? 0 : quote;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (std::strchr("([{", c)) {
      ++depth;
    } else if (std::strchr(")]}", c)) {
      --depth;
    } else if (c == separator && depth == 0) {
      parts.push_back(trimmed(text.substr(start, i - start)));
      start = i + 1;
    }
  }
  parts.push_back(trimmed(text.substr(start)));
  return parts;
}

// "def f(a: array, *, stream: StreamOrDevice = None) -> array".
std::vector<Parameter> parameters_of(std::string_view signature) {
  std::vector<Parameter> parameters;
  size_t open = signature.find('('), arrow = signature.rfind(") ->");
  if (open == signature.npos || arrow == signature.npos) {
    return parameters;
  }
  bool by_name_only = false;
  for (const std::string& part : split_outside(signature.substr(open + 1, arrow - open - 1), ',')) {
    if (part == "*" || part == "/" || part.empty()) {
      by_name_only = by_name_only || part == "*";
      continue;
    }
    Words halves = split_outside(part, '=');
    Words named = split_outside(halves[0], ':');
    Parameter p;
    p.name = named[0].substr(std::min(named[0].find_first_not_of('*'), named[0].size()));
    p.type = named.size() > 1 ? named[1] : "";
    p.optional = halves.size() > 1;
    p.rest = named[0].starts_with("*");
    p.by_name_only = by_name_only;
    by_name_only = by_name_only || p.rest;
    parameters.push_back(p);
  }
  return parameters;
}

// Without the module of a name: "collections.abc.Sequence[int]" is "Sequence[int]".
std::string without_modules(std::string text) {
  for (const char* module : {"mlx.core.", "collections.abc.", "numpy.typing.", "typing.", "types."}) {
    for (size_t at = text.find(module); at != text.npos; at = text.find(module)) {
      text.erase(at, std::strlen(module));
    }
  }
  return text;
}

bool is_number_or_array(PyObject* o) {
  try {
    return is_scalar_or_array(o);
  } catch (...) {
    PyErr_Clear();
    return false;
  }
}

bool every(PyObject* sequence, const std::string& type);

// Types of Python's that are taken for dtypes.
bool is_number_type(PyObject* o) {
  PyTypeObject* const types[] = {&PyBool_Type, &PyLong_Type, &PyFloat_Type, &PyComplex_Type};
  return std::any_of(
      std::begin(types), std::end(types), [o](PyTypeObject* type) { return o == reinterpret_cast<PyObject*>(type); });
}

// Whether a value can be what one alternative of a type says. True for types that are not known here.
bool fits_one(PyObject* o, const std::string& type) {
  if (type == "None") {
    return o == Py_None;
  }
  if (type == "object" || type == "Any") {
    return true;
  }
  if (o == Py_None) {
    return type == "StreamOrDevice";
  }
  if (type == "array") {
    return is_array(o);
  }
  if (type == "scalar" || type == "ArrayLike" || type.starts_with("NDArray")) {
    return is_number_or_array(o);
  }
  if (type == "bool") {
    return PyBool_Check(o);
  }
  if (type == "int") {
    return PyIndex_Check(o) && !(is_array(o) && read(o).ndim() > 0);
  }
  if (type == "float" || type == "complex") {
    return PyNumber_Check(o) && !(is_array(o) && read(o).ndim() > 0);
  }
  if (type == "str" || type.starts_with("Literal[")) {
    return PyUnicode_Check(o);
  }
  if (type.starts_with("Callable")) {
    return PyCallable_Check(o);
  }
  if (type.starts_with("dict")) {
    return PyDict_Check(o);
  }
  if (type == "StreamOrDevice") {
    StreamOrDevice s;
    return to_stream_or_device(o, s);
  }
  for (const char* sequence : {"Sequence[", "list[", "tuple["}) {
    if (type.starts_with(sequence)) {
      size_t first = std::strlen(sequence);
      return PySequence_Check(o) && !PyUnicode_Check(o) && !PyBytes_Check(o) &&
             every(o, split_outside(std::string_view(type).substr(first, type.size() - first - 1), ',')[0]);
    }
  }
  for (const char* known : {"Dtype", "Stream", "Device", "DeviceType", "ThreadLocalStream"}) {
    if (type == known) {
      if (type == "Dtype" && is_number_type(o)) {
        return true;
      }
      return type == Py_TYPE(o)->tp_name || without_modules(Py_TYPE(o)->tp_name) == type;
    }
  }
  return true;
}

bool fits(PyObject* o, const std::string& type) {
  Words alternatives = split_outside(type, '|');
  return type.empty() || std::any_of(alternatives.begin(), alternatives.end(),
                             [&](const std::string& one) { return fits_one(o, one); });
}

bool every(PyObject* sequence, const std::string& type) {
  if (is_array(sequence)) { // its rows are not looked at
    return type == "array" || type == "Any" || type == "object";
  }
  bool plain = PyList_Check(sequence) || PyTuple_Check(sequence); // others may go on for ever
  nb::object items = plain ? nb::steal(PySequence_Tuple(sequence)) : items_of_sequence(sequence);
  if (!items.is_valid()) {
    PyErr_Clear();
    return false;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.ptr()); ++i) {
    if (!fits(PyTuple_GET_ITEM(items.ptr(), i), type)) {
      return false;
    }
  }
  return true;
}

std::string in_words(const std::string& one) {
  static constexpr std::pair<std::string_view, const char*> words[] = {{"array", "an array"}, {"scalar", "a number"},
      {"int", "an int"}, {"float", "a float"}, {"bool", "a bool"}, {"complex", "a complex"}, {"str", "a str"},
      {"Dtype", "a Dtype"}, {"Stream", "a Stream"}, {"Device", "a Device"}, {"DeviceType", "a DeviceType"},
      {"ThreadLocalStream", "a ThreadLocalStream"}, {"StreamOrDevice", "a Stream, a Device or None"},
      {"ArrayLike", "a number or an object that turns into an array"}};
  for (auto [type, text] : words) {
    if (one == type) {
      return text;
    }
  }
  if (one.starts_with("NDArray")) {
    return "a NumPy array";
  }
  if (one.starts_with("Callable")) {
    return "a callable";
  }
  if (one.starts_with("Literal[")) {
    return "one of " + one.substr(8, one.size() - 9);
  }
  for (auto [type, text] :
      {std::pair("Sequence[", "a sequence of "), {"list[", "a list of "}, {"tuple[", "a tuple of "}}) {
    if (one.starts_with(type)) {
      size_t first = std::strlen(type);
      std::string of = split_outside(std::string_view(one).substr(first, one.size() - first - 1), ',')[0];
      return std::string(text) + (of == "Any" || of == "object" ? "them" : of);
    }
  }
  return one;
}

std::string joined(const Words& parts, const char* last) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == parts.size() ? std::string(" ") + last + " " : ", ") + parts[i];
  }
  return text;
}

std::string type_in_words(const std::string& type) {
  Words parts, alternatives = split_outside(type, '|');
  std::stable_partition(alternatives.begin(), alternatives.end(), [](const std::string& one) { return one != "None"; });
  for (const std::string& one : alternatives) {
    if (std::string text = in_words(one); std::find(parts.begin(), parts.end(), text) == parts.end()) {
      parts.push_back(text);
    }
  }
  return joined(parts, "or");
}

// An int that no C++ int holds, where the function takes one.
bool is_too_large(PyObject* o, const std::string& type) {
  if (!PyLong_Check(o) || without_modules(type).find("int") == type.npos) {
    return false;
  }
  int overflow = 0;
  long value = PyLong_AsLongAndOverflow(o, &overflow);
  return overflow != 0 || value > INT32_MAX || value < 0;
}

class Call {
 public:
  Call(nb::handle function, PyObject* const* args, size_t positional, PyObject* names)
      : args_(args), positional_(positional), names_(names) {
    std::string name = nb::cast<std::string>(function.attr("__name__"));
    std::string qualified = nb::cast<std::string>(function.attr("__qualname__"));
    method_ = qualified.find('.') != qualified.npos;
    std::string module = nb::cast<std::string>(function.attr("__module__"));
    if (name == "__init__") {
      name = qualified.substr(0, qualified.rfind('.'));
    }
    name_ = module.starts_with("mlx.core.") ? module.substr(9) + "." + name : name;
    nb::object signatures = function.attr("__nb_signature__");
    if (nb::len(signatures) > 0) { // of several forms, the first is MLX's
      parameters_ = parameters_of(nb::cast<std::string>(nb::object(signatures[0][0])));
    }
    for (Parameter& p : parameters_) {
      p.type = without_modules(p.type);
    }
  }

  const std::string& name() const { return name_; }

  std::string what_is_wrong() const {
    if (parameters_.empty()) {
      return takes_no();
    }
    std::vector<PyObject*> values(parameters_.size(), nullptr);
    size_t at = 0;
    for (size_t i = 0; i < positional_; ++i) {
      if (at < parameters_.size() && parameters_[at].rest) {
        if (!fits(args_[i], parameters_[at].type)) {
          return parameters_[at].name + "[" + std::to_string(i - at) + "] is " + described(args_[i]) +
                 "; it should be " + type_in_words(parameters_[at].type) + ".";
        }
        continue;
      }
      if (at == parameters_.size() || parameters_[at].by_name_only) {
        return "it was given " + count(positional_ - method_, "positional argument") + ", but takes " +
               std::to_string(at - method_) + list_of_names(true) + ".";
      }
      values[at++] = args_[i];
    }
    for (Py_ssize_t i = 0; names_ && i < PyTuple_GET_SIZE(names_); ++i) {
      std::string name = nb::cast<std::string>(nb::handle(PyTuple_GET_ITEM(names_, i)));
      auto found =
          std::find_if(parameters_.begin(), parameters_.end(), [&](const Parameter& p) { return p.name == name; });
      if (found == parameters_.end()) {
        return "it has no argument '" + name + "'; its arguments are" + list_of_names(false) + ".";
      }
      PyObject*& value = values[static_cast<size_t>(found - parameters_.begin())];
      if (value) {
        return "the argument " + name + " was given twice, by position and by name.";
      }
      value = args_[positional_ + static_cast<size_t>(i)];
    }
    for (size_t i = 0; i < values.size(); ++i) {
      const Parameter& p = parameters_[i];
      if (!values[i] && !p.optional && !p.rest) {
        return "the argument " + p.name + " is missing; it should be " + type_in_words(p.type) + ".";
      }
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] && !fits(values[i], parameters_[i].type)) {
        return parameters_[i].name + " is " + described(values[i]) + "; it should be " +
               type_in_words(parameters_[i].type) + ".";
      }
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] && is_too_large(values[i], parameters_[i].type)) {
        return parameters_[i].name + " is " + shown(values[i]) + ", which is out of range.";
      }
    }
    return takes_no();
  }

 private:
  static std::string count(size_t n, const char* thing) {
    return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
  }

  std::string list_of_names(bool positional) const {
    Words names;
    for (size_t i = method_; i < parameters_.size(); ++i) {
      if (!(positional && parameters_[i].by_name_only)) {
        names.push_back(parameters_[i].name);
      }
    }
    std::string list = joined(names, "and");
    return list.empty() ? "" : positional ? " (" + list + ")" : " " + list;
  }

  std::string takes_no() const {
    Words given;
    for (size_t i = method_; i < positional_; ++i) {
      given.push_back(described(args_[i]));
    }
    for (Py_ssize_t i = 0; names_ && i < PyTuple_GET_SIZE(names_); ++i) {
      given.push_back(nb::cast<std::string>(nb::handle(PyTuple_GET_ITEM(names_, i))) + "=" +
                      described(args_[positional_ + static_cast<size_t>(i)]));
    }
    return given.empty() ? "it takes arguments." : "it does not take " + joined(given, "and") + " as arguments.";
  }

  PyObject* const* args_;
  size_t positional_;
  PyObject* names_;
  std::string name_;
  size_t method_ = 0; // 1: the first argument is self
  std::vector<Parameter> parameters_;
};

// Names that MLX's binding takes beside those of its documentation.
struct OtherName {
  std::string_view function, other, name;
};
constexpr OtherName other_names[] = {{"sum", "array", "a"}};

// The keyword names with such names replaced; null when there is none.
nb::object renamed(const std::string& function, PyObject* names) {
  for (const OtherName& o : other_names) {
    for (Py_ssize_t i = 0; names && o.function == function && i < PyTuple_GET_SIZE(names); ++i) {
      if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), o.other.data()) == 0) {
        nb::list all{nb::handle(names)};
        all[static_cast<size_t>(i)] = nb::str(o.name.data());
        return nb::tuple(all);
      }
    }
  }
  return {};
}

constexpr size_t max_dispatchers = 8;
std::array<vectorcallfunc, max_dispatchers> dispatchers{}; // nanobind's: one for each kind of function

// The pending error, put aside; pending again in the end unless it is dropped.
class PendingError {
 public:
  PendingError() {
    PyErr_Fetch(&type_, &value_, &trace_);
    PyErr_NormalizeException(&type_, &value_, &trace_);
  }
  ~PendingError() {
    if (type_) {
      PyErr_Restore(type_, value_, trace_);
    }
  }
  PendingError(const PendingError&) = delete;
  PendingError& operator=(const PendingError&) = delete;

  // Whether it is nanobind's about the arguments of this function.
  bool is_about_arguments(nb::handle function) const {
    nb::object text = nb::steal(PyObject_Str(value_));
    nb::object name = nb::steal(PyObject_GetAttrString(function.ptr(), "__name__"));
    if (!text.is_valid() || !name.is_valid()) {
      PyErr_Clear();
      return false;
    }
    std::string start = nb::cast<std::string>(name) + "(): incompatible function arguments.";
    return nb::cast<std::string>(text).starts_with(start);
  }
  void drop() {
    Py_CLEAR(type_);
    Py_CLEAR(value_);
    Py_CLEAR(trace_);
  }

 private:
  PyObject *type_, *value_, *trace_;
};

PyObject* explain(
    size_t dispatcher, PyObject* function, PyObject* const* args, size_t flags, PyObject* names) noexcept {
  if (PyErr_Occurred() != PyExc_TypeError) {
    return nullptr;
  }
  PendingError pending;
  try {
    if (!pending.is_about_arguments(function)) {
      return nullptr;
    }
    size_t positional = flags & (SIZE_MAX >> 2); // CPython's flag is the highest bit, nanobind's the next
    Call call(function, args, positional, names);
    if (nb::object others = renamed(call.name(), names); others.is_valid()) {
      pending.drop();
      return dispatchers[dispatcher](function, args, flags, others.ptr());
    }
    std::string text = "[" + call.name() + "] " + call.what_is_wrong();
    pending.drop();
    PyErr_SetString(argument_error, text.c_str());
  } catch (const std::bad_alloc&) {
    pending.drop();
    set_python_error();
  } catch (...) { // a repr that raises: nanobind's text has to do
    PyErr_Clear();
  }
  return nullptr;
}

template <size_t dispatcher>
PyObject* explained(PyObject* function, PyObject* const* args, size_t flags, PyObject* names) {
  PyObject* result = dispatchers[dispatcher](function, args, flags, names);
  return result ? result : explain(dispatcher, function, args, flags, names);
}

template <size_t... i>
constexpr std::array<vectorcallfunc, max_dispatchers> make_explained(std::index_sequence<i...>) {
  return {&explained<i>...};
}
constexpr auto explained_dispatchers = make_explained(std::make_index_sequence<max_dispatchers>());

void watch(PyObject* function) {
  auto* slot =
      reinterpret_cast<vectorcallfunc*>(reinterpret_cast<char*>(function) + Py_TYPE(function)->tp_vectorcall_offset);
  for (size_t i = 0; i < max_dispatchers; ++i) {
    if (*slot == explained_dispatchers[i]) {
      return;
    }
    if (!dispatchers[i]) {
      dispatchers[i] = *slot;
    }
    if (dispatchers[i] == *slot) {
      *slot = explained_dispatchers[i];
      return;
    }
  }
}

void watch_all(nb::handle scope) {
  nb::dict names; // a copy: a class shows its own read-only
  names.update(scope.attr("__dict__"));
  for (auto [name, value] : names) {
    std::string_view type = Py_TYPE(value.ptr())->tp_name;
    if (type == "nanobind.nb_func" || type == "nanobind.nb_method") {
      watch(value.ptr());
    } else if (PyType_Check(value.ptr()) || PyModule_Check(value.ptr())) {
      std::string module = PyType_Check(value.ptr()) ? nb::cast<std::string>(nb::str(value.attr("__module__")))
                                                     : nb::cast<std::string>(nb::str(value.attr("__name__")));
      if (module.starts_with("mlx.core")) {
        watch_all(value);
      }
    }
  }
}

} // namespace

std::string described(nb::handle o) {
  if (o.is_none()) {
    return "None";
  }
  if (is_array(o)) {
    const array& a = read(o);
    return "an array of shape " + core::to_string(a.shape()) + " and dtype " + std::string(core::name_of(a.dtype()));
  }
  std::string type = without_modules(Py_TYPE(o.ptr())->tp_name);
  std::string article = std::strchr("aeioAEIO", type[0]) ? "an " : "a ";
  return article + type + " (" + shortened(shown(o), 60) + ")";
}

void explain_argument_errors(nb::module_& m) { watch_all(m); }

} // namespace mlx::python
