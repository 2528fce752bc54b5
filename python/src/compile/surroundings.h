// What a recorded function finds around it: variables, what is in them, and how deep. A recording serves a call while
// all that is as it was; arrays and numbers that changed once are read anew at each call instead.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "mlx_core/array.h"
#include "mlx_core/small_vector.h"
#include "python/src/trees/traverse.h"

namespace nb = nanobind;

namespace mlx::python {

// The places are a tree that begins at the function: its cells, the globals that it names, its defaults, its self, and
// on from there through lists, tuples, dicts, attributes, slots, classes, modules, and other Python functions. Of a
// container its type, length and keys count, of numbers, flags, strings and None the value, of an array that was read
// the handle, of anything else the identity. Looking again runs no code of the user's and keeps no container alive.
class Surroundings {
 public:
  // Places by name ("params['w']") whose arrays and numbers are read anew at each call.
  struct Given {
    std::unordered_set<std::string> arrays, numbers;
    bool all_arrays = false;
  };

  // What a look found, borrowed: in the order of their places.
  struct Found {
    core::SmallVector<PyObject*, 8> arrays;  // in places that may hold another array
    core::SmallVector<PyObject*, 4> numbers; // in places that may hold another number
  };

  Surroundings() = default;
  // Looks around `fun` before it runs.
  Surroundings(nb::handle fun, const Given& given);

  // Where arrays are around these functions (a tuple), the nearest first: in what, and where in there. Not in places
  // that are looked at only because of their names, or that hold what they hold for good.
  struct ArrayPlace {
    nb::object container; // a cell, dict, list, or an object with slots
    nb::object key;       // of a dict
    int64_t index = 0;    // in a list; the offset of a slot
    nb::object array;
  };
  static std::vector<ArrayPlace> arrays_around(nb::handle functions, size_t most);

  // After it ran: `read` are the handles that it read; `constants` the ids of arrays that the recording depends on
  // without having noted the handle. Handles of these are appended to `unnoted`. What the function changed itself keeps
  // the value before, unless it is a place where it only leaves something (a count of calls, a list it appends to).
  void settle(nb::handle fun, const std::unordered_set<PyObject*>& read, const std::unordered_set<uintptr_t>& constants,
      std::vector<nb::object>& unnoted);

  // Takes back what the function put into places, lists and dicts: it failed, or is to run again.
  void undo(nb::handle fun) const;

  bool fit(nb::handle fun, Found& found) const;
  struct Misfit {
    std::string name;
    enum { array, number, other } kind; // what it may be given as
  };
  std::vector<Misfit> misfits(nb::handle fun) const;

  static constexpr int most = 10000; // places that are looked at again
  // Whether there were more.
  bool cut_off() const { return cut_off_; }
  // The name of a function in reach that asks for the type of something by `type`, which no stand-in for a number hides
  // from; empty when there is none.
  const std::string& asks_for_types() const { return asks_for_types_; }
  size_t given_numbers() const { return given_numbers_; }
  // The places of those that are ints.
  std::vector<std::string> given_ints() const;
  // The name of the first place whose object is one of these, which were turned into arrays, though changes of what is
  // in there are not seen.
  std::string unseen(const std::unordered_set<PyObject*>& converted) const;
  // Once it is settled, the handles in places that may hold another array, as the function found them.
  std::vector<nb::object> take_given_arrays() { return std::move(given_arrays_); }

  // While it lives, the numbers that are given at each call are replaced by stand-ins where the function finds them.
  class StandIns {
   public:
    StandIns(const Surroundings& around, nb::handle fun);
    ~StandIns() { restore(); }
    const std::vector<nb::object>& numbers() const { return numbers_; } // as they were
    void put(size_t i, nb::handle stand_in);
    // False when the function put something else there.
    bool restore();

   private:
    struct Held {
      uint32_t node;
      nb::object parent;
      nb::object stand_in;
    };
    const Surroundings& around_;
    std::vector<Held> held_;
    std::vector<nb::object> numbers_;
  };

  void traverse(Traversal& owned) const;

 private:
  enum class Kind : uint8_t {
    ignored,
    absent,
    array,       // any array
    read_array,  // this handle
    given_array, // any array of this type; a `Found` one
    number,      // any float; a `Found` one
    value,       // an equal one
    bytes,       // something with these bytes
    identity,    // this object
    same,        // the object at an earlier place
    sized,       // a container of this length
    sequence,    // of this length; its items are children
    collection,  // a set or deque of this length; its items are the first children
    mapping,     // a dict with these keys; its values are the first children
    function,    // with this code
    other,       // of this type, with children
  };
  enum class Step : uint8_t {
    root,
    cell,
    global,
    defaults,
    keyword_defaults,
    function_attributes,
    item,
    entry,
    attributes,
    slot,
    type,
    base,
    class_entry,
    module_entry,
    self,
    method,
    member, // of an object of a type written in C
    enumeration_member,
    collected,
    referent,
    context_value,
    thread_attributes,
    inside,
    settings, // of a transformation
    owned,
  };
  // What spares most of a look.
  enum Shortcut : uint8_t {
    by_object = 1, // it is as it was if it is `expected`
    by_type = 2,   // if it is of `type`
    leaf = 4,      // if it is the object that it was at the last look
    flat = 8,      // a dict of leaves
  };
  struct Node { // one cache line
    Kind kind = Kind::ignored;
    Step step = Step::root;
    bool weak = false; // `expected` is a weak reference
    uint8_t shortcuts = 0;
    int32_t mark = -1; // where the object is noted for a `same` place
    uint32_t next = 0; // the place behind its children
    uint32_t parent = 0;
    int32_t index = 0;           // of an item, cell, base, slot or member (its offset), or owned object
    int32_t size = 0;            // of a container; of a class, how many attributes it has
    nb::object key;              // of an entry, global or attribute
    nb::object type;             // what its type must be
    nb::object expected;         // of `read_array`, `value`, `bytes`, `function`; of `identity` the object, if it is
                                 // kept; of an OrderedDict its keys
    PyObject* address = nullptr; // of `identity`; of others the object at the last look, as an entry of a dict
    uint64_t version = 0;        // of `mapping`, and of the dict that it is found in: see dict_version
  };
  class Walk;
  class Look;

  static PyObject* follow(const Node& node, PyObject* parent);      // borrowed; null when there is nothing
  static PyObject* dict_behind(const Node& node, PyObject* parent); // where a global, or a class' or module's entry, is
  static bool is_attributes(Step step) {
    return step == Step::attributes || step == Step::function_attributes || step == Step::thread_attributes;
  }
  static bool put(const Node& node, PyObject* parent, PyObject* value);
  std::vector<uint32_t> changed(nb::handle fun) const;
  void drop_what_is_too_much();
  void find_shortcuts();
  static bool holds_its_object(const Node& node);
  void undo_entries(uint32_t node, PyObject* dict) const;
  std::string name(uint32_t node) const;
  // The variable or attribute that the place is, or is in; null when it is in none.
  PyObject* variable(uint32_t node) const;

  mutable std::vector<Node> nodes_; // looks note there what spares the next one something
  std::vector<nb::object> given_arrays_;
  std::vector<nb::object> codes_; // of functions in reach, until it is settled
  uint32_t marks_ = 0;
  uint32_t given_numbers_ = 0;
  bool cut_off_ = false;
  std::string asks_for_types_;
};

} // namespace mlx::python
