// Trees: nested Python containers around leaves, taken apart and put together again.
//
// Containers are list, tuple, dict and their subclasses, NamedTuples, dataclass instances, None (a container of
// nothing) and instances of classes registered with register_tree_node. Everything else is a leaf.
#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <string>
#include <vector>

#include "mlx_core/small_vector.h"
#include "python/src/trees/traverse.h"

namespace nb = nanobind;

namespace mlx::python {

using Leaves = std::vector<nb::object>;

// What a tree is made of, without its leaves. It owns what it needs to build the containers again: changing the
// original afterwards does not change what is built.
class Tree {
 public:
  // Appends the leaves of `root`, left to right and dicts in insertion order.
  Tree(nb::handle root, Leaves& leaves);
  // Only the leaves, for who builds nothing.
  static void collect(nb::handle root, Leaves& leaves);

  size_t leaf_count() const { return leaf_count_; }
  bool is_leaf() const { return nodes_[0].kind == Kind::leaf; }

  // New containers of the same types around the leaves, of which there are leaf_count().
  nb::object build(std::span<const nb::object> leaves) const;

  // Shows the collector what it owns.
  void traverse(Traversal& owned) const {
    for (const Node& node : nodes_) {
      owned(node.keys);
      owned(node.origin);
    }
  }

  // Appends what tells this structure from others: bytes, and objects to be compared by ==.
  void describe(std::string& bytes, Leaves& objects) const;

  // Where a leaf is, as one would write it in Python after the tree's name: "['layers'][2].weight".
  std::string path(size_t leaf) const;

  // Whether `other` has the same containers; dicts may differ in order. Then order[i] is the number of the leaf of
  // `other` that is in the place of leaf i; if not, `place` is where they differ, as in path().
  bool matches(const Tree& other, std::vector<size_t>& order, std::string& place) const;

  // `prefix` is a tree that this one continues: each of its leaves (anything that is no container, and None) is handed
  // down to all leaves below that place. Appends one entry per leaf. Throws std::invalid_argument, naming the place and
  // both trees by name, when the containers differ. op and hint are for the error.
  void spread(nb::handle prefix, const char* prefix_name, const std::string& name, Leaves& out, const char* op = "vmap",
      const char* hint = "Write one axis (an int or None), or a container of the same kind and length.") const;

 private:
  Tree() = default;
  enum class Kind : uint8_t {
    leaf,
    none,
    list,
    tuple,
    dict,
    list_like,
    dict_like,
    named_tuple,
    data_class,
    registered
  };
  struct Node {
    Node(Kind kind, size_t children = 0, nb::object keys = {}, nb::object origin = {})
        : kind(kind), children(static_cast<uint32_t>(children)), keys(std::move(keys)), origin(std::move(origin)) {}
    Kind kind;
    uint32_t children;
    nb::object keys; // dict: list of keys; named tuple, dataclass: tuple of names; registered: what flatten kept aside
    nb::object origin; // how to make one: a type, a copy without the children, or the registered unflatten
  };

  void add(nb::handle o, Leaves& leaves);
  void add_children(PyObject* sequence, Leaves& leaves);
  bool add_container_subclass(nb::handle o, Leaves& leaves);
  nb::object build(size_t& node, const nb::object*& leaf) const;
  bool path(size_t& node, size_t& leaf, std::string& text) const;
  std::string step(const Node& node, uint32_t child) const;
  struct Spread {
    const char* op;
    const char* prefix_name;
    const char* hint;
  };
  void spread(size_t& node, nb::handle prefix, const Spread& words, const std::string& place, Leaves& out) const;
  bool matches(size_t& node, const Tree& other, size_t& other_node, size_t& other_leaf, std::vector<size_t>& order,
      std::string& place) const;
  void skip(size_t& node) const;
  nb::object child_of(const Node& node, nb::handle prefix, uint32_t child) const;

  core::SmallVector<Node, 4> nodes_; // in preorder
  size_t leaf_count_ = 0;
  bool builds_ = true;
};

// mx.register_tree_node. What it is given is kept on the class, so that the class can be collected.
void bind_trees(nb::module_& m);

} // namespace mlx::python
