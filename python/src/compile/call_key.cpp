// Encoding the arguments of a call. The common containers are encoded on the way; others go through Tree.
#include "python/src/compile/call_key.h"

#include "mlx_core/error.h"
#include "python/src/interop/foreign_arrays.h"
#include "python/src/interop/numpy_scalar.h"
#include "python/src/trees/descent.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

namespace {

bool may_vary(const NumpyScalar& scalar) {
  using Kind = NumpyScalar::Kind;
  return scalar.kind == Kind::floating || scalar.kind == Kind::complex ||
         (scalar.kind == Kind::integer && may_be_runtime_int(scalar.object));
}

} // namespace

CallKey::CallKey(const CallArguments& call, nb::handle state, bool with_sizes) : with_sizes_(with_sizes) {
  bytes_.reserve(128);
  core::append_bytes(bytes_, static_cast<uint32_t>(call.positional));
  for (size_t i = 0; i < call.values.size(); ++i) {
    if (i >= call.positional) {
      add_text(call.keyword_name(i - call.positional).ptr());
    }
    add(call.values[i]);
  }
  state_begin_ = arrays_.size();
  if (state.is_valid() && !state.is_none()) {
    bytes_.push_back('|');
    in_state_ = true;
    add(state.ptr());
  }
}

// Those of the state are constants: the function finds them by itself.
void CallKey::add_number(PyObject* o, size_t size) {
  if (!in_state_) {
    numbers_.push_back({bytes_.size(), size, nb::borrow(o)});
  }
}

bool CallKey::is_number(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  if (type == &PyFloat_Type || type == &PyComplex_Type) {
    return true;
  }
  if (type == &PyLong_Type) {
    return may_be_runtime_int(o);
  }
  bool number = type->tp_as_number && type->tp_as_number->nb_float;
  std::optional<NumpyScalar> scalar = number ? numpy_scalar(o) : std::nullopt;
  return scalar && may_vary(*scalar);
}

void CallKey::add_text(PyObject* unicode) {
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(unicode, &size);
  if (!text) {
    throw nb::python_error();
  }
  core::append_bytes(bytes_, static_cast<uint32_t>(size));
  bytes_.append(text, static_cast<size_t>(size));
}

void CallKey::add(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  if (type == array_type) {
    bytes_.push_back('A');
    core::append_spec(bytes_, read(o), with_sizes_);
    arrays_.push_back(nb::borrow(o));
  } else if (o == Py_None || o == Py_True || o == Py_False) {
    bytes_.push_back(o == Py_None ? 'N' : o == Py_True ? 'T' : 'F');
  } else if (type == &PyFloat_Type) {
    bytes_.push_back('D');
    add_number(o, sizeof(double));
    core::append_bytes(bytes_, PyFloat_AS_DOUBLE(o));
  } else if (type == &PyComplex_Type) {
    bytes_.push_back('C');
    add_number(o, sizeof(Py_complex));
    core::append_bytes(bytes_, PyComplex_AsCComplex(o));
  } else if (type == &PyUnicode_Type) {
    bytes_.push_back('S');
    add_text(o);
  } else if (type == &PyTuple_Type || type == &PyList_Type) {
    bytes_.push_back(type == &PyTuple_Type ? '(' : '[');
    Descent guard;
    Items items(o); // as they are now: __hash__ and flatten functions of the user's run on the way
    core::append_bytes(bytes_, static_cast<uint32_t>(items.size()));
    for (size_t i = 0; i < items.size(); ++i) {
      add(items[i]);
    }
  } else if (type == &PyDict_Type) {
    bytes_.push_back('{');
    Descent guard;
    Entries entries(o);
    core::append_bytes(bytes_, static_cast<uint32_t>(entries.size()));
    for (const auto& [key, value] : entries) {
      PyUnicode_CheckExact(key.ptr()) ? add_text(key.ptr()) : add_object(key.ptr());
      add(value.ptr());
    }
  } else if (type == &PyLong_Type) {
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow) {
      add_object(o);
    } else {
      bytes_.push_back(value < 0 ? 'J' : 'I');
      if (may_be_runtime_int(o)) {
        add_number(o, sizeof(value));
      }
      core::append_bytes(bytes_, value);
    }
  } else {
    Leaves leaves;
    Tree tree(nb::handle(o), leaves);
    if (leaves.size() == 1 && leaves[0].is(o)) { // no container
      add_leaf(o);
      return;
    }
    bytes_.push_back('R');
    tree.describe(bytes_, objects_);
    for (const nb::object& leaf : leaves) {
      add(leaf.ptr());
    }
  }
}

namespace {

// A slice as something that has a hash.
nb::object frozen(PyObject* o) {
  if (!PySlice_Check(o)) {
    return nb::borrow(o);
  }
  auto* slice = reinterpret_cast<PySliceObject*>(o);
  return nb::make_tuple(nb::handle(slice->start), nb::handle(slice->stop), nb::handle(slice->step));
}

} // namespace

// Something that is no container, and of none of the common types.
void CallKey::add_leaf(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  if (is_array(o)) {
    bytes_.push_back('a');
    core::append_spec(bytes_, read(o), with_sizes_);
    arrays_.push_back(nb::borrow(o));
    add_object(reinterpret_cast<PyObject*>(type));
  } else if (!in_state_ && is_foreign_array(o)) { // what it holds now; state is read by the function itself
    nb::object handle = nb::steal(wrap(array_from_python(o)));
    bytes_.push_back('A');
    core::append_spec(bytes_, read(handle), with_sizes_);
    foreign_.push_back({arrays_.size(), nb::borrow(o)});
    arrays_.push_back(std::move(handle));
  } else {
    // Equal is not the same: 1, True and numpy.int8(1), or 0.0 and -0.0. A class lives while its instance is kept.
    bytes_.push_back('K');
    core::append_bytes(bytes_, type);
    bool number = type->tp_as_number && type->tp_as_number->nb_float;
    std::optional<NumpyScalar> scalar = number ? numpy_scalar(o) : std::nullopt;
    if (scalar && scalar->kind != NumpyScalar::Kind::other) {
      nb::object bits = nb::handle(o).attr("tobytes")();
      auto size = static_cast<size_t>(PyBytes_GET_SIZE(bits.ptr()));
      core::append_bytes(bytes_, static_cast<uint32_t>(size));
      bytes_.push_back(scalar->kind == NumpyScalar::Kind::integer && is_negative_int(o) ? 'V' : 'U');
      if (may_vary(*scalar)) {
        add_number(o, size);
      }
      bytes_.append(PyBytes_AS_STRING(bits.ptr()), size);
      return;
    }
    if (PyFloat_Check(o)) {
      core::append_bytes(bytes_, PyFloat_AS_DOUBLE(o));
    }
    add_object(frozen(o).ptr());
  }
}

void CallKey::add_object(PyObject* o) {
  Py_hash_t hash = PyObject_Hash(o);
  if (hash == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    core::fail<core::TypeError>("compile", "an argument is, or holds, a ", Py_TYPE(o)->tp_name,
        ", which has no hash, so that it is unknown whether a recording fits; pass arrays (mx.array), numbers, "
        "strings, "
        "containers of these, or something hashable.");
  }
  bytes_.push_back('O');
  core::append_bytes(bytes_, hash);
  objects_.push_back(nb::borrow(o));
}

} // namespace mlx::python
