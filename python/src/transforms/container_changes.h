// A transform hands a function copies of the containers it was called with, around arrays of its own. What the function
// does to them (d["loss"] = loss, states.append(h)) is carried over to the caller's containers, as in a plain call.
#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <vector>

#include "python/src/array/convert.h"
#include "python/src/trees/trees.h"

namespace nb = nanobind;

namespace mlx::python {

// One change of a caller's container.
struct ContainerEdit {
  enum class Kind : uint8_t { whole_list, set_item, delete_item, set_attribute, delete_attribute };
  struct Value {
    nb::object object;
    bool is_new; // made by the function; else one of the caller's objects
  };
  Kind kind;
  nb::object target, key;
  std::vector<Value> values; // the elements of a list; else one, or none for what is deleted

  void apply() const;
};

class ContainerChanges {
 public:
  // Remembers what the function gets: `given` was built in place of `original`, before the function runs.
  void watch(nb::handle original, nb::handle given);
  // What the function has changed. Lets go of all that was remembered.
  std::vector<ContainerEdit> take();
  void apply() {
    for (const ContainerEdit& edit : take()) {
      edit.apply();
    }
  }
  bool empty() const { return containers_.empty(); }

 private:
  enum class Kind : uint8_t { list, dict, attributes };
  // A child as the function got it.
  struct Entry {
    nb::object given;
    const core::Node* node; // of a handle: an in-place update changes it
    nb::object key;         // of an attribute; a dict has its keys in the order of the original
  };
  struct Container {
    Kind kind;
    nb::object original, given;
    size_t first, count; // entries
  };
  size_t add(Kind kind, nb::handle original, nb::handle given, size_t count);
  void watch_dict(nb::handle original, nb::handle given);
  void watch_attributes(nb::handle original, nb::handle given);
  bool unchanged(const Entry& entry, PyObject* now) const;
  bool unchanged(const Container& container) const;
  nb::object original_of(const Container& container, size_t entry) const;
  ContainerEdit::Value translated(nb::handle now) const;
  void compare(const Container& container, std::vector<ContainerEdit>& edits) const;

  std::vector<Container> containers_;
  std::vector<Entry> entries_;
};

// The arrays in new values of edits, which take part in a transform as further outputs of the function.
class EditedArrays {
 public:
  // Moves them to the end of `arrays`; nothing in Python holds them afterwards.
  EditedArrays(std::vector<ContainerEdit> edits, std::vector<array>& arrays);
  EditedArrays() = default;
  size_t count() const { return count_; }
  // Applies the edits with these arrays in their places.
  void apply(std::span<const array> arrays);

 private:
  struct Place {
    size_t edit, value;
    Tree tree;
    Leaves leaves;
    std::vector<size_t> arrays; // leaves
  };
  std::vector<ContainerEdit> edits_;
  std::vector<Place> places_;
  size_t count_ = 0;
};

} // namespace mlx::python
