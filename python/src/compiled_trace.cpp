// Recording a Python function, and running the recording.
#include "python/src/compiled_trace.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/ops/size_number.h"
#include "python/src/dim_object.h"
#include "python/src/rules_object.h"
#include "python/src/runtime_scalar.h"

namespace mlx::python {

namespace {

bool equal(const nb::object& a, const nb::object& b) {
  int result = PyObject_RichCompareBool(a.ptr(), b.ptr(), Py_EQ);
  if (result < 0) {
    PyErr_Clear(); // objects that do not compare are different
  }
  return result > 0;
}

array number_array(const CallKey::Number& number) {
  if (PyFloat_Check(number.value.ptr())) {
    return array(PyFloat_AS_DOUBLE(number.value.ptr()), core::float64);
  }
  Py_complex z = PyComplex_AsCComplex(number.value.ptr());
  return array(core::complex128_t(z.real, z.imag), core::complex128);
}

} // namespace

// The one run of the function, on placeholders. The containers of its state are put back if it fails.
class CompiledTrace::Recorder {
 public:
  Recorder(CompiledTrace& trace, const CompiledFunction& function, const CallArguments& call, const CallKey& key)
      : trace_(trace), function_(function), call_(call), key_(key), state_before_(state_leaves(function.outputs)) {}

  ~Recorder() {
    if (!done_) {
      log_.reset();
      try {
        for (const StateLeaf& leaf : state_before_) {
          leaf.place.assign(function_.outputs, leaf.handle);
        }
      } catch (...) { // a container that the function took apart; the function's own error matters more
        PyErr_Clear();
      }
    }
  }

  std::vector<array> run(const std::vector<array>& placeholders, const core::Hide& hide) {
    log_.emplace(hide);
    nb::object result = call_function(placeholders);
    std::vector<array> outputs;
    trace_.output_.emplace(result, outputs);
    check_numbers(result);
    result.reset();
    find_changes(placeholders, outputs);
    find_sizes(outputs);
    log_->close();
    for (const HandleLog::Entry& entry : log_->entries()) {
      if (!entry.is_given) {
        bool value_was_read = entry.hidden.is_available();
        trace_.surroundings_.push_back({nb::borrow(entry.handle), {entry.first.shape(), entry.first.dtype()},
            value_was_read ? std::optional(entry.first) : std::nullopt});
      }
    }
    return outputs;
  }

  // Nothing of ours may hold a placeholder when this has run.
  void release() {
    arguments_.clear();
    log_.reset();
    for (const StatePlace& place : trace_.changed_state_) {
      place.assign(function_.outputs, nb::none());
    }
  }

  // Everything went well: nothing is to be put back any more.
  void finish() { done_ = true; }

 private:
  nb::object call_function(const std::vector<array>& placeholders) {
    Leaves leaves;
    std::vector<Tree> trees;
    for (PyObject* value : call_.values) {
      trees.emplace_back(value, leaves);
    }
    size_t next_array = 0, next_number = 0, next_runtime = key_.arrays().size();
    auto check = [](bool same) { // the key was made of another walk, and code of the user's ran since
      if (!same) {
        core::fail<std::runtime_error>("compile", "an argument changed while it was looked at.");
      }
    };
    for (nb::object& leaf : leaves) {
      if (is_array(leaf)) {
        check(next_array < key_.state_begin() && leaf.is(key_.arrays()[next_array]));
        leaf = nb::steal(wrap(placeholders[next_array++]));
        arguments_.push_back(leaf);
      } else if (PyFloat_CheckExact(leaf.ptr()) || PyComplex_CheckExact(leaf.ptr())) {
        check(next_number < trace_.runtime_numbers_.size());
        if (trace_.runtime_numbers_[next_number++]) {
          leaf = make_runtime_scalar(placeholders[next_runtime++]);
        }
      }
    }
    check(next_array == key_.state_begin() && next_number == trace_.runtime_numbers_.size());
    for (size_t i = key_.state_begin(); i < key_.arrays().size(); ++i) {
      arguments_.push_back(key_.arrays()[i]);
      log_->give(key_.arrays()[i].ptr(), placeholders[i]);
    }
    std::vector<nb::object> built;
    std::vector<PyObject*> values;
    size_t first = 0;
    for (const Tree& tree : trees) {
      built.push_back(tree.build(std::span(leaves).subspan(first, tree.leaf_count())));
      values.push_back(built.back().ptr());
      first += tree.leaf_count();
    }
    leaves.clear();
    return function_.transformation.call_fun(values, call_);
  }

  // A number that is only known at each call cannot be returned as a Python number.
  static void check_numbers(nb::handle result) {
    Leaves leaves;
    Tree::collect(result, leaves);
    for (const nb::object& leaf : leaves) {
      if (is_runtime_scalar(leaf.ptr())) {
        PyNumber_Float(leaf.ptr()); // says so
        throw nb::python_error();
      }
    }
  }

  void find_changes(const std::vector<array>& placeholders, std::vector<array>& outputs) {
    for (size_t i = 0; i < arguments_.size(); ++i) {
      const array& now = log_->read(arguments_[i].ptr());
      if (now.id() != placeholders[i].id()) {
        outputs.push_back(now);
        trace_.changed_arguments_.push_back(i);
      }
    }
    for (const HandleLog::Entry& entry : log_->entries()) {
      if (!entry.is_given && entry.current.id() != entry.hidden.id()) {
        outputs.push_back(entry.current);
        trace_.changed_handles_.push_back(nb::borrow(entry.handle));
      }
    }
    for (const StateLeaf& leaf : state_leaves(function_.outputs)) {
      if (log_->was_made(leaf.handle.ptr()) && !is_input(leaf.handle)) {
        outputs.push_back(held(leaf.handle));
        trace_.changed_state_.push_back(leaf.place);
      }
    }
  }

  // What is returned of open sizes is known at each call.
  void find_sizes(std::vector<array>& outputs) {
    const Leaves& leaves = trace_.output_->others();
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (is_dim(leaves[i].ptr())) {
        outputs.push_back(core::size_number(dim_of(leaves[i].ptr()), core::int64));
        trace_.returned_sizes_.push_back(i);
      }
    }
  }

  bool is_input(const nb::object& handle) const {
    auto begin = key_.arrays().begin() + static_cast<ptrdiff_t>(key_.state_begin());
    return std::any_of(begin, key_.arrays().end(), [&](const nb::object& input) { return input.is(handle); });
  }

  CompiledTrace& trace_;
  const CompiledFunction& function_;
  const CallArguments& call_;
  const CallKey& key_;
  std::vector<StateLeaf> state_before_;
  std::vector<nb::object> arguments_; // handles inside the function: arrays of the call, then of the state
  std::optional<HandleLog> log_;
  bool done_ = false;
};

CompiledTrace::CompiledTrace(const CompiledFunction& function, const CallArguments& call, const CallKey& key,
    const std::vector<bool>& runtime_numbers, bool shapeless)
    : runtime_numbers_(runtime_numbers), objects_(key.objects()) {
  std::vector<core::Spec> specs = specs_of(key);
  {
    Recorder recorder(*this, function, call, key);
    recording_ =
        core::record([&](const std::vector<array>& in, const core::Hide& hide) { return recorder.run(in, hide); },
            specs, [&] { recorder.release(); }, shapeless);
    if (std::string why = core::misfit(recording_, specs); !why.empty()) { // an operation does not do with open sizes
      core::fail("compile", why, ".");
    }
    recorder.finish();
  }
  for (std::shared_ptr<const core::CustomRules>& rules : recording_.rules) {
    rules_.push_back(rules_object(std::move(rules)));
  }
  recording_.rules.clear();
  std::unordered_set<PyObject*> handles;
  for (const Surrounding& surrounding : surroundings_) {
    handles.insert(surrounding.handle.ptr());
  }
  std::unordered_set<uintptr_t> constants; // and what they are computed from
  for (std::vector<array> behind(recording_.constants); !behind.empty();) {
    array a = std::move(behind.back());
    behind.pop_back();
    if (constants.insert(a.id()).second) {
      behind.insert(behind.end(), a.operands().begin(), a.operands().end());
    }
  }
  names_ = NameGuards(function.transformation.fun(), handles, constants);
  for (const nb::object& handle : names_.unnoted()) {
    const array& value = held(handle);
    watched_.push_back({handle, {value.shape(), value.dtype()}, value});
  }
}

std::vector<core::Spec> CompiledTrace::specs_of(const CallKey& key) const {
  std::vector<core::Spec> specs;
  for (const nb::object& handle : key.arrays()) {
    specs.push_back({read(handle).shape(), read(handle).dtype()});
  }
  if (key.numbers().size() != runtime_numbers_.size()) {
    core::fail<std::runtime_error>("compile", "an argument changed while it was looked at.");
  }
  for (size_t i = 0; i < runtime_numbers_.size(); ++i) {
    if (runtime_numbers_[i]) {
      specs.push_back({{}, PyFloat_Check(key.numbers()[i].value.ptr()) ? core::float64 : core::complex128});
    }
  }
  return specs;
}

bool CompiledTrace::hold(const std::vector<Surrounding>& surroundings) {
  return std::all_of(
      surroundings.begin(), surroundings.end(), [](const Surrounding& s) { return s.fits(read(s.handle)); });
}

bool CompiledTrace::fits(const CallKey& key) const {
  if (!hold(surroundings_) || !hold(watched_)) {
    return false;
  }
  if (recording_.shapeless && !core::misfit(recording_, specs_of(key)).empty()) {
    return false;
  }
  return names_.hold() &&
         std::equal(objects_.begin(), objects_.end(), key.objects().begin(), key.objects().end(), equal);
}

std::string CompiledTrace::misfit(const CallKey& key) const {
  if (std::string name = names_.changed(); !name.empty()) {
    return name +
           ", which it reads from around it, is another object now (pass it as an argument, or list what holds "
           "it in inputs)";
  }
  std::vector<Surrounding> all(surroundings_);
  all.insert(all.end(), watched_.begin(), watched_.end());
  for (const Surrounding& s : all) {
    const array& now = read(s.handle);
    if (now.dtype() != s.spec.dtype || !(now.shape() == s.spec.shape)) {
      return "an array that it reads from around it was " + std::string(name_of(s.spec.dtype)) +
             to_string(s.spec.shape) + ", is " + std::string(name_of(now.dtype())) + to_string(now.shape());
    }
    if (!s.fits(now)) {
      return "an array whose value it reads, of shape " + to_string(now.shape()) + ", changed";
    }
  }
  if (std::string why = core::misfit(recording_, specs_of(key)); !why.empty()) {
    return why;
  }
  return fits(key) ? "" : "an object among the arguments is another one";
}

void CompiledTrace::traverse(Traversal& owned) const {
  for (const std::vector<Surrounding>* surroundings : {&surroundings_, &watched_}) {
    for (const Surrounding& surrounding : *surroundings) {
      owned(surrounding.handle);
    }
  }
  owned(objects_);
  names_.traverse(owned);
  if (output_) {
    output_->traverse(owned);
  }
  owned(changed_handles_);
  for (const StatePlace& place : changed_state_) {
    place.traverse(owned);
  }
  owned(rules_);
}

nb::object CompiledTrace::run(const CompiledFunction& function, const CallKey& key) const {
  core::SmallVector<array, 8> arguments;
  for (const nb::object& handle : key.arrays()) {
    arguments.push_back(read(handle));
  }
  for (size_t i = 0; i < runtime_numbers_.size(); ++i) {
    if (runtime_numbers_[i]) {
      arguments.push_back(number_array(key.numbers()[i]));
    }
  }
  for (const nb::object& rules : rules_) {
    core::keep_rules({&rules_of_object(rules), 1});
  }
  core::SmallVector<array, 8> hidden;
  for (const Surrounding& surrounding : surroundings_) {
    hidden.push_back(read(surrounding.handle));
  }
  std::vector<array> outputs =
      core::replay(recording_, {arguments.begin(), arguments.size()}, {hidden.begin(), hidden.size()});
  size_t returned = output_->array_count();
  const array* next = outputs.data() + returned;
  for (size_t i : changed_arguments_) {
    rebind(key.arrays()[i].ptr(), *next++);
  }
  for (const nb::object& handle : changed_handles_) {
    rebind(handle.ptr(), *next++);
  }
  for (const StatePlace& place : changed_state_) {
    place.assign(function.outputs, nb::steal(wrap(*next++)));
  }
  if (returned_sizes_.empty()) {
    return output_->build(std::span<const array>(outputs).first(returned));
  }
  ArrayTree::Replaced sizes;
  for (size_t i : returned_sizes_) {
    array size = *next++;
    evaluate(size);
    sizes.emplace_back(i, nb::int_(*size.data<int64_t>()));
  }
  return output_->build(std::span<const array>(outputs).first(returned), sizes);
}

} // namespace mlx::python
