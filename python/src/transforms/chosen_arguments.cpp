// Taking the arguments of a call apart that are differentiated.
#include "python/src/transforms/chosen_arguments.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/transforms/bind_transforms.h"
#include "python/src/transforms/container_changes.h"

namespace mlx::python {

using core::fail;

nb::object ArgumentChoice::settings() const {
  nb::list all;
  for (int number : argnums_) {
    all.append(number);
  }
  for (const nb::object& name : argnames_) {
    all.append(name);
  }
  return nb::tuple(all);
}

ArgumentChoice::ArgumentChoice(const char* op, std::optional<Axes> argnums, nb::handle argnames) {
  auto add = [&](nb::handle name) {
    if (!PyUnicode_Check(name.ptr())) {
      fail<core::TypeError>(op, "argnames holds a ", class_name(name), "; it should be a str or a sequence of str.");
    }
    if (std::none_of(argnames_.begin(), argnames_.end(), [&](const nb::object& n) { return n.equal(name); })) {
      argnames_.push_back(nb::borrow(name));
    }
  };
  if (PyUnicode_Check(argnames.ptr())) {
    add(argnames);
  } else if (!argnames.is_none()) {
    if (!is_iterable(argnames)) {
      fail<core::TypeError>(op, "argnames is ", described(argnames), "; it should be a str or a sequence of str.");
    }
    for (nb::handle name : argnames) {
      add(name);
    }
  }
  if (argnums) {
    argnums_ = std::move(*argnums);
  } else if (argnames_.empty()) {
    argnums_ = Axes{0};
  }
  if (argnums_.empty() && argnames_.empty()) {
    fail(op, "argnums and argnames are both empty: there is nothing to differentiate with respect to.");
  }
}

core::SmallVector<size_t, 2> ArgumentChoice::places(const char* op, const CallArguments& arguments) const {
  core::SmallVector<size_t, 2> values;
  int positional = static_cast<int>(arguments.positional);
  for (int argnum : argnums_) {
    if (argnum < -positional || argnum >= positional) {
      fail(op, "argnums asks for the gradient with respect to argument ", argnum,
          ", but the function was called "
          "with ",
          positional, " positional arguments.");
    }
    values.push_back(static_cast<size_t>(argnum < 0 ? argnum + positional : argnum));
  }
  if (values.size() > 1) {
    std::sort(values.begin(), values.end());
    if (auto twice = std::adjacent_find(values.begin(), values.end()); twice != values.end()) {
      fail(op, "argnums names argument ", *twice, " twice.");
    }
  }
  for (const nb::object& argname : argnames_) {
    values.push_back(keyword_place(op, arguments, argname));
  }
  return values;
}

size_t ArgumentChoice::keyword_place(const char* op, const CallArguments& arguments, nb::handle argname) const {
  for (size_t i = 0; i < arguments.keyword_count(); ++i) {
    if (arguments.keyword_name(i).is(argname) || arguments.keyword_name(i).equal(argname)) {
      return arguments.positional + i;
    }
  }
  std::string given;
  for (size_t i = 0; i < arguments.keyword_count(); ++i) {
    given += (i ? ", " : "") + nb::cast<std::string>(arguments.keyword_name(i));
  }
  fail(op, "argnames asks for the gradient with respect to '", nb::cast<std::string>(argname),
      "', but the function was called with ", given.empty() ? "no keyword arguments" : "the keyword arguments ", given,
      ". Pass it by name, or use argnums.");
}

ChosenArguments::ChosenArguments(
    const Transformation& transformation, const ArgumentChoice& choice, const CallArguments& arguments)
    : transformation_(transformation), choice_(choice), arguments_(arguments) {
  for (size_t value : choice.places(transformation.name(), arguments)) {
    size_t first = leaves_.size();
    selected_.push_back({value, Tree(arguments.values[value], leaves_), first});
  }
  primals_.reserve(leaves_.size());
  places_.reserve(leaves_.size());
  for (const Selected& s : selected_) {
    for (size_t i = s.first_leaf; i < s.first_leaf + s.tree.leaf_count(); ++i) {
      if (s.tree.is_leaf() || !is_static_leaf(leaves_[i])) { // of an argument that is one leaf it is a mistake
        primals_.push_back(differentiable(transformation.name(), leaves_[i], [&] { return leaf_name(i); }));
        places_.push_back(i);
      }
    }
  }
}

nb::object ChosenArguments::call(const std::vector<array>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    leaves_[places_[i]] = nb::steal(wrap(inputs[i]));
  }
  core::SmallVector<nb::object, 2> built;
  core::SmallVector<PyObject*, 6> values(arguments_.values.begin(), arguments_.values.end());
  for (const Selected& s : selected_) {
    built.push_back(s.tree.build({leaves_.data() + s.first_leaf, s.tree.leaf_count()}));
    values[s.value] = built.back().ptr();
  }
  for (size_t place : places_) {
    leaves_[place] = nb::none();
  }
  ContainerChanges changes;
  for (size_t i = 0; i < selected_.size(); ++i) {
    changes.watch(arguments_.values[selected_[i].value], built[i]);
  }
  if (changes.empty()) {
    return transformation_.call_fun(values, arguments_);
  }
  try {
    nb::object result = transformation_.call_fun(values, arguments_);
    changes.apply();
    return result;
  } catch (nb::python_error&) {
    changes.apply(); // the caller may look at them when it handles the error
    throw;
  }
}

nb::object ChosenArguments::form(std::span<const nb::object> objects) const {
  Leaves all;
  if (places_.size() < leaves_.size()) { // static leaves are what they are
    all = leaves_;
    for (size_t i = 0; i < places_.size(); ++i) {
      all[places_[i]] = objects[i];
    }
    objects = all;
  }
  auto tree = [&](size_t i) {
    return selected_[i].tree.build(objects.subspan(selected_[i].first_leaf, selected_[i].tree.leaf_count()));
  };
  nb::object positional = nb::none();
  size_t positions = choice_.position_count();
  if (positions == 1) {
    positional = tree(0);
  } else if (positions > 0) {
    nb::list trees;
    for (size_t i = 0; i < positions; ++i) {
      trees.append(tree(i));
    }
    positional = nb::tuple(trees);
  }
  if (choice_.names().empty()) {
    return positional;
  }
  nb::dict keywords;
  for (size_t i = 0; i < choice_.names().size(); ++i) {
    keywords[choice_.names()[i]] = tree(positions + i);
  }
  return nb::make_tuple(positional, keywords);
}

std::string ChosenArguments::leaf_name(size_t leaf) const {
  for (const Selected& s : selected_) {
    if (leaf < s.first_leaf + s.tree.leaf_count()) {
      return transformation_.argument_name(arguments_, s.value) + s.tree.path(leaf - s.first_leaf);
    }
  }
  return "an argument";
}

} // namespace mlx::python
