// Recognising NumPy's scalars by the types that NumPy, once imported, has put into sys.modules.
#include "python/src/interop/numpy_scalar.h"

#include <cstring>

namespace mlx::python {

namespace {

struct NumpyTypes {
  PyTypeObject* generic = nullptr;
  PyTypeObject* boolean = nullptr;
  PyTypeObject* integer = nullptr;
  PyTypeObject* floating = nullptr;
  PyTypeObject* complex = nullptr;
};

// Kept for the life of the process, as NumPy is.
const NumpyTypes* numpy_types() {
  static NumpyTypes types;
  if (!types.generic) {
    nb::object numpy = nb::steal(PyImport_GetModule(nb::str("numpy").ptr()));
    if (!numpy || !nb::hasattr(numpy, "generic")) {
      PyErr_Clear();
      return nullptr;
    }
    auto take = [&](const char* name) {
      return reinterpret_cast<PyTypeObject*>(nb::object(numpy.attr(name)).release().ptr());
    };
    types.boolean = take("bool_");
    types.integer = take("integer");
    types.floating = take("floating");
    types.complex = take("complexfloating");
    types.generic = take("generic");
  }
  return &types;
}

} // namespace

std::optional<NumpyScalar> numpy_scalar(PyObject* o) {
  const NumpyTypes* types = numpy_types();
  PyTypeObject* type = Py_TYPE(o);
  if (!types || !PyType_IsSubtype(type, types->generic)) {
    return std::nullopt;
  }
  using Kind = NumpyScalar::Kind;
  Kind kind = PyType_IsSubtype(type, types->boolean)    ? Kind::boolean
              : PyType_IsSubtype(type, types->integer)  ? Kind::integer
              : PyType_IsSubtype(type, types->floating) ? Kind::floating
              : PyType_IsSubtype(type, types->complex)  ? Kind::complex
                                                        : Kind::other;
  // numpy.timedelta64 derives from signedinteger but is no number. ml_dtypes.bfloat16 derives from generic alone.
  if (kind == Kind::integer && std::strcmp(type->tp_name, "numpy.timedelta64") == 0) {
    kind = Kind::other;
  }
  if (kind == Kind::other && type->tp_as_number && type->tp_as_number->nb_float &&
      std::strstr(type->tp_name, "float")) {
    kind = Kind::floating;
  }
  return NumpyScalar{o, kind};
}

} // namespace mlx::python
