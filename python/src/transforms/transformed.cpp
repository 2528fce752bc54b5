// The Python type behind the results of the function transforms.
//
// A type of its own, as nanobind functions neither show another function's name nor let the garbage collector see what
// they hold: a function that refers to its own gradient is a cycle.
#include "python/src/transforms/transformed.h"

#include <structmember.h>
#include <cstddef>
#include <string_view>

#include "mlx_core/error.h"
#include "mlx_core/interruption.h"
#include "mlx_core/small_vector.h"
#include "python/src/runtime/exceptions.h"
#include "python/src/runtime/shown.h"

#ifndef Py_T_PYSSIZET // the names before Python 3.12
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

namespace mlx::python {

namespace {

// The function inside transforms of transforms, without recursion: they have its name and its parameters.
nb::object innermost(nb::handle fun) {
  nb::object f = nb::borrow(fun);
  while (const Transformation* inside = transformation_of(f)) {
    f = nb::borrow(inside->fun());
  }
  return f;
}

} // namespace

struct TransformedObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* weak_references;
  Transformation* transformation;

  static TransformedObject* of(PyObject* o) { return reinterpret_cast<TransformedObject*>(o); }

  static PyObject* call(PyObject* self, PyObject* const* args, size_t flags, PyObject* names) noexcept {
    Transformation* transformation = of(self)->transformation;
    if (!transformation) {
      PyErr_SetString(PyExc_ReferenceError, "a transformed function was called while it was being collected");
      return nullptr;
    }
    size_t positional = static_cast<size_t>(PyVectorcall_NARGS(flags));
    size_t keywords = names ? static_cast<size_t>(PyTuple_GET_SIZE(names)) : 0;
    return guarded(
        [&] {
          Descent guard(" in a transformed function");
          return transformation->call({{args, positional + keywords}, positional, names}).release().ptr();
        },
        static_cast<PyObject*>(nullptr));
  }

  static int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Traversal owned(visit, arg);
    if (Transformation* t = of(self)->transformation) {
      owned(*t->fun_);
      owned(t->settings_);
      t->traverse(owned);
    }
    return owned.result();
  }
  static int clear(PyObject* self) {
    delete std::exchange(of(self)->transformation, nullptr);
    return 0;
  }
  static void destroy(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (of(self)->weak_references) {
      PyObject_ClearWeakRefs(self);
    }
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
  }

  static PyObject* bind(PyObject* self, PyObject* instance, PyObject*) {
    return instance && instance != Py_None ? PyMethod_New(self, instance) : Py_NewRef(self);
  }
  static PyObject* represent(PyObject* self) {
    Transformation* t = of(self)->transformation;
    return guarded(
        [&] {
          Descent guard(" in the repr of a transformed function");
          return t ? PyUnicode_FromFormat("<%s of %R>", t->name(), t->fun_.ptr()) : PyUnicode_FromString("<collected>");
        },
        static_cast<PyObject*>(nullptr));
  }

  // Attribute `name` of the function inside.
  static PyObject* inner(PyObject* self, void* name) {
    Transformation* t = of(self)->transformation;
    if (!t) {
      Py_RETURN_NONE;
    }
    if (!name) {
      return Py_NewRef(t->fun_.ptr());
    }
    nb::object fun = innermost(t->fun());
    PyObject* value = PyObject_GetAttrString(fun.ptr(), static_cast<const char*>(name));
    if (!value && PyErr_ExceptionMatches(PyExc_AttributeError)) {
      PyErr_Clear();
      value = PyUnicode_FromString(t->name());
    }
    return value;
  }
};

namespace {

PyTypeObject* transformed_type = nullptr;

PyTypeObject* make_type() {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(TransformedObject, vectorcall), Py_READONLY, nullptr},
      {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(TransformedObject, weak_references), Py_READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  static char name[] = "__name__", qualname[] = "__qualname__", doc[] = "__doc__";
  static PyGetSetDef properties[] = {{"__name__", TransformedObject::inner, nullptr, nullptr, name},
      {"__qualname__", TransformedObject::inner, nullptr, nullptr, qualname},
      {"__doc__", TransformedObject::inner, nullptr, nullptr, doc},
      {"__wrapped__", TransformedObject::inner, nullptr, nullptr, nullptr},
      {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
      {Py_tp_traverse, reinterpret_cast<void*>(TransformedObject::traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(TransformedObject::clear)},
      {Py_tp_dealloc, reinterpret_cast<void*>(TransformedObject::destroy)},
      {Py_tp_descr_get, reinterpret_cast<void*>(TransformedObject::bind)},
      {Py_tp_repr, reinterpret_cast<void*>(TransformedObject::represent)}, {Py_tp_members, members},
      {Py_tp_getset, properties}, {0, nullptr}};
  static PyType_Spec spec = {"mlx.core._TransformedFunction", sizeof(TransformedObject), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  PyObject* type = PyType_FromSpec(&spec);
  if (!type) {
    throw nb::python_error();
  }
  return reinterpret_cast<PyTypeObject*>(type);
}

} // namespace

nb::object Transformation::call_fun(std::span<PyObject* const> values, const CallArguments& arguments) const {
  PyObject* result = PyObject_Vectorcall(fun_.ptr(), values.data(), arguments.positional, arguments.keyword_names);
  if (!result) {
    throw nb::python_error();
  }
  return nb::steal(result);
}

// Reading the signature of one of our own functions ends the process where nanobind finds no memory for the text.
static bool is_ours(nb::handle function) {
  std::string_view type = Py_TYPE(function.ptr())->tp_name;
  return type == "nanobind.nb_func" || type == "nanobind.nb_method";
}

std::string Transformation::argument_name(const CallArguments& arguments, size_t value) const {
  if (value >= arguments.positional) {
    return nb::cast<std::string>(arguments.keyword_name(value - arguments.positional));
  }
  size_t star = 0; // parameters in front of *args
  try {
    nb::object named = innermost(fun());
    if (is_ours(named)) {
      return "args[" + std::to_string(value) + "]";
    }
    nb::object parameters = nb::module_::import_("inspect").attr("signature")(named).attr("parameters");
    size_t i = 0;
    for (nb::handle parameter : parameters.attr("values")()) {
      int kind = nb::cast<int>(nb::object(parameter.attr("kind").attr("value")));
      if (kind > 1) { // neither positional-only nor positional-or-keyword
        break;
      }
      if (i++ == value) {
        return nb::cast<std::string>(nb::object(parameter.attr("name")));
      }
      ++star;
    }
  } catch (nb::python_error& error) { // built-in functions may have no signature
    if (core::is_interruption(error)) throw;
    star = 0;
  }
  return "args[" + std::to_string(value - star) + "]";
}

nb::object make_transformed(std::unique_ptr<Transformation> transformation) {
  if (!PyCallable_Check(transformation->fun().ptr())) {
    core::fail<core::TypeError>(
        transformation->name(), "fun is ", shown(transformation->fun()), "; it should be a callable.");
  }
  PyObject* self = transformed_type->tp_alloc(transformed_type, 0);
  if (!self) {
    throw nb::python_error();
  }
  TransformedObject::of(self)->vectorcall = TransformedObject::call;
  TransformedObject::of(self)->transformation = transformation.release();
  return nb::steal(self);
}

const Transformation* transformation_of(nb::handle callable) {
  return Py_TYPE(callable.ptr()) == transformed_type ? TransformedObject::of(callable.ptr())->transformation : nullptr;
}

void bind_transformed(nb::module_& m) {
  transformed_type = make_type();
  m.attr("_TransformedFunction") = nb::handle(reinterpret_cast<PyObject*>(transformed_type));
}

} // namespace mlx::python
