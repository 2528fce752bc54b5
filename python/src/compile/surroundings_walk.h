// The first look at the surroundings of a function, before it runs: finding the places.
#pragma once

#include <deque>
#include <set>

#include "python/src/compile/surroundings.h"

namespace mlx::python {

class Surroundings::Walk {
 public:
  Walk(Surroundings& out, const Given& given) : out_(out), given_(given) {}

  void run(nb::handle fun);

  std::vector<ArrayPlace> arrays(nb::handle functions, size_t most);

 private:
  void look_around(nb::handle fun);

  struct Place {
    Node node;
    nb::object object;
    int depth;
    std::vector<uint32_t> children;
  };
  // A class or module, of which what is called by a name that some function uses is looked at.
  struct ByName {
    uint32_t place;
    std::unordered_set<PyObject*> seen;
  };

  // Functions and modules that are taken for what they are.
  bool is_library(nb::handle module_name) const;
  void add(uint32_t parent, Step step, nb::object key, int64_t index, PyObject* object, int depth);
  void child(uint32_t of, Step step, PyObject* key = nullptr, int64_t index = 0);
  void fill(uint32_t at);
  void contents(uint32_t at, PyObject* o);

  // What a type written in C holds in it, and its attributes and slots.
  void object(uint32_t at, PyObject* o);
  bool held_in_c(uint32_t at, PyObject* o);
  // By the descriptors of the type itself, whatever a class that derives from it makes of these names.
  void members(uint32_t at, PyTypeObject* type, std::initializer_list<const char*> names);

  // A weak reference where there can be one: an address may be used again.
  static void identity(Node& node, PyObject* o);
  void function(uint32_t at, PyObject* f);

  // A function of a library around functions of the user's: a context manager, one that is chosen by a type.
  void wrapped(uint32_t at, PyObject* f);
  void globals(uint32_t at, nb::handle code, PyObject* dict, std::unordered_set<PyObject*>& seen);
  void items(uint32_t at, PyObject* o);
  // A container of which not all items are places, as there are too many.
  void only_whole(uint32_t at);

  // Sets of strings or bytes by value, which are in any order; other numbers than these are equal to a 1.
  void collection(uint32_t at, PyObject* o);

  // What a garbage collector would see of it.
  void owned(uint32_t at, PyObject* o);
  void attributes(uint32_t at, PyObject* o);
  void instance(uint32_t at, PyObject* o);
  void class_contents(uint32_t at, PyTypeObject* type);

  // Functions of classes, and everything in modules, by the names that functions in reach use.
  void look_for_names();
  bool is_given(uint32_t at, const std::unordered_set<std::string>& names);
  bool may_be_put(uint32_t at) const;
  void flatten();

  static constexpr size_t most_looked = 40000;      // places that are looked at before the function runs
  static constexpr Py_ssize_t most_bytes = 1 << 16; // of a NumPy array, of which larger ones are not compared

  Surroundings& out_;
  const Given& given_;
  std::string package_;      // that the function is from
  std::deque<Place> places_; // references stay valid
  size_t next_ = 0, most_ = most_looked;
  bool only_arrays_ = false;
  std::unordered_map<PyObject*, uint32_t> first_; // the place of each object
  std::unordered_set<PyObject*> names_;           // that functions in reach use; their code keeps them
  std::vector<ByName> by_name_;
  std::set<std::pair<PyObject*, PyObject*>> missing_; // names in dicts of globals
  size_t names_looked_for_ = 0, places_looked_for_ = 0;
  Py_ssize_t bytes_left_ = 16 * most_bytes; // of all that are compared
};

} // namespace mlx::python
