// Dtype, DtypeCategory, finfo, iinfo and the questions about dtypes.
#include <nanobind/stl/variant.h>

#include <limits>

#include "mlx_core/error.h"
#include "python/src/array/dtype_kind.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/bind.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

namespace {

using Category = Dtype::Category;
using Val = Dtype::Val;

// One of Python's types, which stands for the dtype that its numbers get: bool, int, float, complex.
struct NumberType {
  Dtype dtype;
};

std::optional<Dtype> dtype_of_numbers(PyObject* type) {
  constexpr std::pair<PyTypeObject*, Dtype::Val> types[] = {{&PyBool_Type, Val::bool_}, {&PyLong_Type, Val::int32},
      {&PyFloat_Type, Val::float32}, {&PyComplex_Type, Val::complex64}};
  for (auto [known, dtype] : types) {
    if (type == reinterpret_cast<PyObject*>(known)) {
      return dtype;
    }
  }
  return {};
}

} // namespace

} // namespace mlx::python

template <>
struct nanobind::detail::type_caster<mlx::python::NumberType> {
  NB_TYPE_CASTER(mlx::python::NumberType, const_name("type"))
  bool from_python(handle source, uint8_t, cleanup_list*) noexcept {
    auto dtype = mlx::python::dtype_of_numbers(source.ptr());
    value.dtype = dtype.value_or(mlx::core::bool_);
    return dtype.has_value();
  }
};

namespace mlx::python {

namespace {

// One object per dtype, so that `x.dtype is mx.float32` and no allocation is needed to say it.
nb::object* dtype_objects = nullptr;

std::string full_name(Dtype dtype) { return "mlx.core." + std::string(core::name_of(dtype)); }

// Its name in mlx.core, where `bool` would hide Python's.
std::string attribute_name(Dtype dtype) { return dtype.is_bool() ? "bool_" : std::string(core::name_of(dtype)); }

// --- limits ---

struct FloatInfo {
  Dtype dtype;
  double max, eps, smallest_normal;
};

FloatInfo float_info(Dtype asked) {
  if (!asked.is_inexact()) {
    core::fail("finfo", "dtype ", asked, " is not inexact; iinfo has the limits of integers.");
  }
  Dtype dtype = core::real_of(asked);
  switch (dtype.val) {
    case Val::float16: return {dtype, 65504.0, 0x1p-10, 0x1p-14};
    case Val::bfloat16: return {dtype, 0x1.fep127, 0x1p-7, 0x1p-126};
    case Val::float64: {
      using Limits = std::numeric_limits<double>;
      return {dtype, Limits::max(), Limits::epsilon(), Limits::min()};
    }
    default: {
      using Limits = std::numeric_limits<float>;
      return {dtype, Limits::max(), Limits::epsilon(), Limits::min()};
    }
  }
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

struct IntInfo {
  Dtype dtype;
  int64_t min;
  uint64_t max;
};

IntInfo int_info(Dtype dtype) {
  if (!dtype.is_integer()) {
    core::fail("iinfo", "only integer dtypes have these limits, but ", dtype, " was given; see finfo.");
  }
  int bits = 8 * dtype.size();
  if (dtype.is_unsigned()) {
    return {dtype, 0, ~uint64_t(0) >> (64 - bits)};
  }
  uint64_t max = ~uint64_t(0) >> (65 - bits);
  return {dtype, -static_cast<int64_t>(max) - 1, max};
}

// --- questions ---

using DtypeOrCategory = std::variant<Dtype, Category>;

bool is_subdtype(const DtypeOrCategory& a, const DtypeOrCategory& b) {
  if (const auto* dtype = std::get_if<Dtype>(&a)) {
    const auto* category = std::get_if<Category>(&b);
    return category ? core::issubdtype(*dtype, *category) : *dtype == std::get<Dtype>(b);
  }
  const auto* category = std::get_if<Category>(&b);
  return category && core::issubdtype(std::get<Category>(a), *category);
}

// Past nanobind's conversion, which takes an int for a category.
DtypeOrCategory dtype_or_category(const char* argument, nb::handle o) {
  if (Dtype dtype; nb::try_cast(o, dtype, false)) {
    return dtype;
  }
  if (Category category; !PyLong_Check(o.ptr()) && nb::try_cast(o, category, false)) {
    return category;
  }
  core::fail<core::TypeError>(
      "issubdtype", argument, " is ", described(o), "; it should be a Dtype or a DtypeCategory.");
}

std::optional<Dtype> known_dtype(nb::handle o) {
  if (is_array(o)) {
    return read(o).dtype();
  }
  Dtype dtype;
  return nb::try_cast(o, dtype) ? std::optional(dtype) : std::nullopt;
}

Dtype dtype_of(const char* op, nb::handle o) {
  if (std::optional<Dtype> dtype = known_dtype(o)) {
    return *dtype;
  }
  core::fail<core::TypeError>(op, "the argument is ", described(o), "; it should be an array or a Dtype.");
}

// Of arrays and dtypes first; then a number beside a dtype of a lower kind lifts it.
Dtype common_dtype(const nb::args& arguments) {
  std::optional<Dtype> result;
  for (nb::handle o : arguments) {
    if (std::optional<Dtype> dtype = known_dtype(o)) {
      result = result ? core::promote_types(*result, *dtype) : *dtype;
    }
  }
  for (nb::handle o : arguments) {
    if (known_dtype(o)) {
      continue;
    }
    bool is_bool = PyBool_Check(o.ptr()), is_int = PyLong_Check(o.ptr()), is_float = PyFloat_Check(o.ptr());
    if (!is_int && !is_float && !PyComplex_Check(o.ptr())) {
      core::fail<core::TypeError>(
          "result_type", "arguments are arrays, dtypes and numbers; got a ", nb::type_name(o.type()).c_str(), ".");
    }
    Dtype own = is_bool ? core::bool_ : is_int ? core::int32 : is_float ? core::float32 : core::complex64;
    if (!result) {
      result = own;
    } else if (is_bool || (is_int && !result->is_bool()) || (is_float && result->is_inexact()) ||
               result->is_complex()) {
      continue;
    } else {
      result = *result == core::float64 ? core::complex128
               : is_float || is_int     ? own
                                        : core::promote_types(*result, own);
    }
  }
  return *result;
}

} // namespace

bool is_of_kind(const char* op, Dtype dtype, nb::handle kind) {
  if (PyTuple_Check(kind.ptr())) {
    Descent guard(" in isdtype");
    for (nb::handle one : nb::borrow<nb::tuple>(kind)) {
      if (is_of_kind(op, dtype, one)) {
        return true;
      }
    }
    return false;
  }
  if (Dtype other; nb::try_cast(kind, other)) {
    return dtype == other;
  }
  std::string name;
  if (!nb::try_cast(kind, name)) {
    core::fail<core::TypeError>(
        op, "kind must be a dtype, a str, or a tuple of these; got a ", nb::type_name(kind.type()).c_str(), ".");
  }
  if (name == "bool") return dtype.is_bool();
  if (name == "signed integer") return dtype.is_signed();
  if (name == "unsigned integer") return dtype.is_unsigned();
  if (name == "integral") return dtype.is_integer();
  if (name == "real floating") return dtype.is_floating();
  if (name == "complex floating") return dtype.is_complex();
  if (name == "numeric") return !dtype.is_bool();
  core::fail(op, "unknown kind '", name,
      "'; the kinds are 'bool', 'signed integer', 'unsigned integer', 'integral', 'real floating', "
      "'complex floating' and 'numeric'.");
}

namespace {

void bind_categories(nb::module_& m) {
  nb::enum_<Category>(m, "DtypeCategory", "A set of dtypes: see `issubdtype`.")
      .value("complexfloating", Category::complexfloating)
      .value("floating", Category::floating)
      .value("inexact", Category::inexact)
      .value("signedinteger", Category::signedinteger)
      .value("unsignedinteger", Category::unsignedinteger)
      .value("integer", Category::integer)
      .value("number", Category::number)
      .value("generic", Category::generic)
      .export_values();
}

// The limits of one dtype are equal, whatever they were asked of.
template <typename Limits>
nb::class_<Limits> limits_class(nb::module_& m, const char* name, const char* doc) {
  return nb::class_<Limits>(m, name, doc)
      .def(
          "__eq__",
          [](const Limits& self, nb::handle other) {
            return nb::isinstance<Limits>(other) ? nb::object(nb::bool_(self.dtype == nb::cast<Limits&>(other).dtype))
                                                 : nb::borrow(Py_NotImplemented);
          },
          nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](const Limits& self) { return static_cast<int64_t>(self.dtype.val); });
}

void bind_limits(nb::module_& m) {
  limits_class<FloatInfo>(m, "finfo", "Limits of a floating dtype; of its parts for a complex one.")
      .def(
          "__init__", [](FloatInfo* self, nb::handle of) { new (self) FloatInfo(float_info(dtype_of("finfo", of))); },
          nb::arg(), nb::sig("def __init__(self, arg: Dtype | array, /) -> None"))
      .def_prop_ro(
          "bits", [](const FloatInfo& f) { return 8 * f.dtype.size(); }, "Bits of one element.")
      .def_prop_ro(
          "min", [](const FloatInfo& f) { return -f.max; }, "The most negative finite value.")
      .def_ro("max", &FloatInfo::max, "The largest finite value.")
      .def_ro("eps", &FloatInfo::eps, "The gap between 1 and the next larger value.")
      .def_ro("smallest_normal", &FloatInfo::smallest_normal, "The smallest positive normal value.")
      .def_prop_ro(
          "dtype", [](const FloatInfo& f) { return f.dtype; }, "The real dtype described.")
      .def("__repr__", [](const FloatInfo& f) {
        return "finfo(min=" + short_number(-f.max) + ", max=" + short_number(f.max) +
               ", dtype=" + std::string(core::name_of(f.dtype)) + ")";
      });
  limits_class<IntInfo>(m, "iinfo", "Limits of an integer dtype.")
      .def(
          "__init__", [](IntInfo* self, nb::handle of) { new (self) IntInfo(int_info(dtype_of("iinfo", of))); },
          nb::arg(), nb::sig("def __init__(self, arg: Dtype | array, /) -> None"))
      .def_prop_ro(
          "bits", [](const IntInfo& i) { return 8 * i.dtype.size(); }, "Bits of one element.")
      .def_ro("min", &IntInfo::min, "The smallest value.")
      .def_ro("max", &IntInfo::max, "The largest value.")
      .def_prop_ro(
          "dtype", [](const IntInfo& i) { return i.dtype; }, "The dtype described.")
      .def("__repr__", [](const IntInfo& i) {
        return "iinfo(min=" + std::to_string(i.min) + ", max=" + std::to_string(i.max) +
               ", dtype=" + std::string(core::name_of(i.dtype)) + ")";
      });
}

void bind_questions(nb::module_& m) {
  m.def(
      "issubdtype",
      [](nb::handle arg1, nb::handle arg2) {
        return is_subdtype(dtype_or_category("arg1", arg1), dtype_or_category("arg2", arg2));
      },
      nb::arg("arg1"), nb::arg("arg2"),
      nb::sig("def issubdtype(arg1: Dtype | DtypeCategory, arg2: Dtype | DtypeCategory) -> bool"),
      R"(Whether a dtype or category lies within another: ``issubdtype(mx.int8, mx.integer)`` is True.

Two dtypes lie within each other only when they are the same.)");
  m.def(
      "result_type",
      [](const nb::args& arrays_and_dtypes) {
        if (arrays_and_dtypes.size() == 0) {
          core::fail("result_type", "at least one array or dtype is needed.");
        }
        return common_dtype(arrays_and_dtypes);
      },
      nb::sig("def result_type(*arrays_and_dtypes: array | Dtype | scalar) -> Dtype"),
      R"(The dtype to which an operation on all of these arrays and dtypes promotes them.

A number changes it only where its kind is higher: ``result_type(mx.int8, 1.0)`` is float32, ``result_type(mx.int8, 1)`` int8.)");
  m.def(
      "can_cast", [](nb::handle from, Dtype to) { return core::promote_types(dtype_of("can_cast", from), to) == to; },
      nb::arg("from_"), nb::arg("to"), nb::sig("def can_cast(from_: array | Dtype, to: Dtype) -> bool"),
      "Whether promoting ``from_`` together with ``to`` gives ``to``.");
  m.def(
      "isdtype",
      [](nb::handle dtype, nb::handle kind) {
        if (Dtype ours; nb::try_cast(dtype, ours, false)) {
          return is_of_kind("isdtype", ours, kind);
        }
        // Programs for several libraries ask this of NumPy's dtypes and of classes, too.
        bool is_dtype = nb::hasattr(dtype, "itemsize") && !nb::hasattr(dtype, "__dlpack__"); // or else an array
        if (!PyType_Check(dtype.ptr()) && !is_dtype) {
          core::fail<core::TypeError>("isdtype", "dtype is ", described(dtype), "; it should be a Dtype.");
        }
        is_of_kind("isdtype", core::float32, kind); // an unknown kind is an error, whatever the dtype
        return false;
      },
      nb::arg("dtype"), nb::arg("kind"),
      nb::sig("def isdtype(dtype: Dtype | typing.Any, kind: Dtype | str | tuple[Dtype | str, ...]) -> bool"),
      R"(Whether a dtype is of one or more kinds; a dtype of another library is of none.

A kind is a dtype, one of ``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``,
``"real floating"``, ``"complex floating"``, ``"numeric"``, or a tuple of kinds.)");
}

} // namespace

Dtype dtype_named(std::string_view name) {
  for (int i = 0; i < core::dtype_count; ++i) {
    if (core::name_of(static_cast<Val>(i)) == name) {
      return static_cast<Val>(i);
    }
  }
  core::fail("Dtype", "there is no dtype named '", name, "'.");
}

nb::handle dtype_object(Dtype dtype) { return dtype_objects[static_cast<int>(dtype.val)]; }

void bind_dtype(nb::module_& m) {
  nb::class_<Dtype> c(m, "Dtype", "The type of an array's elements.");
  c.def_prop_ro(
       "size", [](Dtype d) { return d.size(); }, "Bytes of one element.")
      .def("__repr__", &full_name)
      // `==` with anything that is no dtype is False, as for any Python object.
      .def(
          "__eq__",
          [](Dtype self, nb::handle other) -> nb::object {
            Dtype o;
            return nb::try_cast(other, o, false) ? nb::bool_(self == o) : nb::borrow(Py_NotImplemented);
          },
          nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](Dtype d) { return static_cast<int64_t>(d.val); })
      // Pickled by name: unpickling gives the same object.
      .def("__reduce__", &attribute_name, nb::sig("def __reduce__(self) -> str"))
      .def(
          "__init__", [](Dtype* self, const NumberType& type) { new (self) Dtype(type.dtype); }, nb::arg("type"),
          nb::sig("def __init__(self, type: type) -> None"));
  nb::implicitly_convertible<NumberType, Dtype>();
  dtype_objects = new nb::object[core::dtype_count];
  for (int i = 0; i < core::dtype_count; ++i) {
    Dtype dtype = static_cast<Val>(i);
    dtype_objects[i] = nb::inst_alloc(c);
    new (nb::inst_ptr<Dtype>(dtype_objects[i])) Dtype(dtype);
    nb::inst_mark_ready(dtype_objects[i]);
    m.attr(attribute_name(dtype).c_str()) = dtype_objects[i];
  }
  bind_categories(m);
  bind_limits(m);
  bind_questions(m);
}

} // namespace mlx::python
