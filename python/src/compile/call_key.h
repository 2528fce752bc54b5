// What decides whether a recording serves a call: the structure of the arguments, the shapes and dtypes of their
// arrays, and everything in them that is no array.
#pragma once

#include <string>
#include <vector>

#include "mlx_core/compile/key.h"
#include "python/src/array/convert.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/transforms/transformed.h"
#include "python/src/trees/trees.h"

namespace mlx::python {

class CallKey {
 public:
  // The arguments of the call, then `state`, a further tree (or null). with_sizes: false leaves the sizes of the
  // arguments' arrays out.
  CallKey(const CallArguments& call, nb::handle state, bool with_sizes);

  // A float, complex or not too large int argument, Python's or NumPy's: where its value stands in bytes().
  struct Number {
    size_t offset, size;
    nb::object value;
  };
  static bool is_number(PyObject* o);

  const std::string& bytes() const { return bytes_; }
  // Array handles in the order of the leaves; those of the state begin at state_begin(). Owned, because the function
  // may take apart what holds them.
  using Handles = core::SmallVector<nb::object, 8>;
  const Handles& arrays() const { return arrays_; }
  size_t state_begin() const { return state_begin_; }
  // An array of another library, among the arguments: arrays()[place] is what mx.array makes of it.
  struct Foreign {
    size_t place;
    nb::object object;
  };
  const std::vector<Foreign>& foreign() const { return foreign_; }
  // Whether this leaf of an argument is what arrays()[place] was made of.
  bool is_foreign(size_t place, PyObject* leaf) const {
    for (const Foreign& f : foreign_) {
      if (f.place == place) {
        return f.object.ptr() == leaf;
      }
    }
    return false;
  }
  const std::vector<Number>& numbers() const { return numbers_; }
  // Objects that bytes() has only the hash of.
  const std::vector<nb::object>& objects() const { return objects_; }
  // Makes the key independent of this number's value.
  void forget(const Number& number) { forget(number, bytes_); }
  // The bytes of a key that is independent of all of them.
  std::string bytes_without_numbers() const {
    std::string bytes(bytes_);
    for (const Number& number : numbers_) {
      forget(number, bytes);
    }
    return bytes;
  }

 private:
  // A small letter in front says so: no value can be taken for one that is left out, nor an int for a float.
  static void forget(const Number& number, std::string& bytes) {
    bytes[number.offset - 1] |= 0x20;
    bytes.replace(number.offset, number.size, number.size, '?');
  }
  void add(PyObject* o);
  void add_object(PyObject* o);
  void add_number(PyObject* o, size_t size);
  void add_leaf(PyObject* o);
  void add_text(PyObject* unicode);

  bool with_sizes_;
  std::string bytes_;
  bool in_state_ = false;
  Handles arrays_;
  std::vector<Foreign> foreign_;
  size_t state_begin_ = 0;
  std::vector<Number> numbers_;
  std::vector<nb::object> objects_;
};

} // namespace mlx::python
