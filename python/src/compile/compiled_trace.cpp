// Recording a Python function, and running the recording.
#include "python/src/compile/compiled_trace.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/ops/shape/size_number.h"
#include "mlx_core/transforms/frame.h"
#include "python/src/array/number_arguments.h"
#include "python/src/compile/converted.h"
#include "python/src/compile/dim_object.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/interop/foreign_arrays.h"

namespace mlx::python {

namespace {

bool equal(const nb::object& a, const nb::object& b) {
  int result = PyObject_RichCompareBool(a.ptr(), b.ptr(), Py_EQ);
  if (result < 0) {
    PyErr_Clear(); // objects that do not compare are different
  }
  return result > 0;
}

// Whether a vmap that is open now perhaps hands it to a function.
bool is_lane(const array& a) {
  const std::vector<core::Frame*>& open = core::Frame::open();
  auto outermost = std::find_if(
      open.begin(), open.end(), [](const core::Frame* frame) { return frame->kind() == core::Frame::Kind::vmap; });
  return outermost != open.end() && a.node()->level >= (*outermost)->id();
}

array number_array(PyObject* number) {
  if (PyLong_Check(number)) {
    return array(double_of_int(number), core::float64);
  }
  if (!counts_as_complex(number)) {
    return array(PyFloat_AsDouble(number), core::float64);
  }
  Py_complex z = PyComplex_AsCComplex(number);
  return array(core::complex128_t(z.real, z.imag), core::complex128);
}

} // namespace

// The one run of the function, on placeholders. The containers of its state are put back if it fails.
class CompiledTrace::Recorder {
 public:
  Recorder(CompiledTrace& trace, const CompiledFunction& function, const CallArguments& call, const CallKey& key)
      : trace_(trace), function_(function), call_(call), key_(key), outer_(innermost) {
    add_state(function.outputs);
    innermost = this;
  }

  ~Recorder() {
    innermost = outer_;
    if (!done_) {
      log_.reset();
      try {
        for (const State& state : states_) {
          for (const StateLeaf& leaf : state.before) {
            leaf.place.assign(state.root, leaf.handle);
          }
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
    trace_.unseen_ = trace_.around_.unseen(conversions_.all());
    for (const HandleLog::Entry& entry : log_->entries()) {
      if (!entry.is_given) {
        bool value_was_read = entry.hidden.is_available();
        trace_.surroundings_.push_back({nb::borrow(entry.handle), 0, {entry.first.shape(), entry.first.dtype()},
            value_was_read ? std::optional(entry.first) : std::nullopt});
      }
    }
    return outputs;
  }

  // Containers in which the function, or a compiled one that it calls, puts other arrays.
  void add_state(nb::handle root) {
    bool known = std::any_of(states_.begin(), states_.end(), [&](const State& state) { return state.root.is(root); });
    if (root.is_valid() && !root.is_none() && !known) {
      states_.push_back({nb::borrow(root), state_leaves(root)});
    }
  }
  static thread_local Recorder* innermost;

  // Nothing of ours may hold a placeholder when this has run.
  void release() {
    arguments_.clear();
    log_.reset();
    for (const auto& [root, place] : trace_.changed_state_) {
      place.assign(root, nb::none());
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
      bool foreign = key_.is_foreign(next_array, leaf.ptr());
      if (foreign || is_array(leaf)) {
        check(next_array < key_.state_begin() && (foreign || leaf.is(key_.arrays()[next_array])));
        leaf = nb::steal(wrap(placeholders[next_array++]));
        arguments_.push_back(leaf);
      } else if (CallKey::is_number(leaf.ptr())) {
        check(next_number < trace_.runtime_numbers_.size());
        if (trace_.runtime_numbers_[next_number++]) {
          leaf = make_runtime_scalar(placeholders[next_runtime++], leaf);
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
    nb::object root = where_to_look(function_, key_);
    Surroundings::StandIns stand_ins(trace_.around_, root);
    for (size_t i = 0; i < stand_ins.numbers().size(); ++i) {
      stand_ins.put(i, make_runtime_scalar(placeholders[next_runtime++], stand_ins.numbers()[i]));
    }
    trace_.found_numbers_ = stand_ins.numbers();
    NeededValues needed;
    nb::object result = function_.transformation.call_fun(values, call_);
    if (!stand_ins.restore() || needed.any()) { // it changed one of these itself, or caught what told it to stop
      fail_for_value();
    }
    return result;
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
    size_t surrounding = 0; // its number among those that run() notes
    for (const HandleLog::Entry& entry : log_->entries()) {
      if (!entry.is_given && entry.current.id() != entry.hidden.id()) {
        outputs.push_back(entry.current);
        trace_.changed_handles_.push_back(surrounding);
      }
      surrounding += entry.is_given ? 0 : 1;
    }
    for (const State& state : states_) {
      for (const StateLeaf& leaf : state_leaves(state.root)) {
        if (log_->was_made(leaf.handle.ptr()) && !is_input(leaf.handle)) {
          outputs.push_back(held(leaf.handle));
          trace_.changed_state_.emplace_back(state.root, leaf.place);
        }
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
  struct State {
    nb::object root;
    std::vector<StateLeaf> before;
  };
  std::vector<State> states_;
  Recorder* outer_;
  std::vector<nb::object> arguments_; // handles inside the function: arrays of the call, then of the state
  std::optional<HandleLog> log_;
  Conversions conversions_;
  bool done_ = false;
};

nb::object where_to_look(const CompiledFunction& function, const CallKey& key) {
  nb::handle fun = function.transformation.fun();
  if (key.objects().empty()) {
    return nb::borrow(fun);
  }
  nb::object root = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(key.objects().size() + 1)));
  if (!root.is_valid()) {
    throw nb::python_error();
  }
  PyTuple_SET_ITEM(root.ptr(), 0, fun.inc_ref().ptr());
  for (size_t i = 0; i < key.objects().size(); ++i) {
    PyTuple_SET_ITEM(root.ptr(), static_cast<Py_ssize_t>(i + 1), Py_NewRef(key.objects()[i].ptr()));
  }
  return root;
}

thread_local CompiledTrace::Recorder* CompiledTrace::Recorder::innermost = nullptr;

void CompiledTrace::note_outputs(nb::handle outputs) {
  if (Recorder::innermost) {
    Recorder::innermost->add_state(outputs);
  }
}

CompiledTrace::CompiledTrace(const CompiledFunction& function, const CallArguments& call, const CallKey& key,
    const std::vector<bool>& runtime_numbers, Surroundings around, bool shapeless)
    : runtime_numbers_(runtime_numbers), objects_(key.objects()), around_(std::move(around)) {
  if (needs_stand_ins(around_, runtime_numbers) && !around_.asks_for_types().empty()) {
    fail_for_value();
  }
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
  find_places(where_to_look(function, key));
}

// Of what was read, and of what is a constant, where it is to be found at another call.
void CompiledTrace::find_places(nb::handle root) {
  std::unordered_set<PyObject*> handles;
  for (const Surrounding& surrounding : surroundings_) {
    handles.insert(surrounding.handle.ptr());
    holds_lanes_ = holds_lanes_ || is_lane(held(surrounding.handle));
  }
  std::unordered_set<uintptr_t> constants; // and what they are computed from
  for (std::vector<array> behind(recording_.constants); !behind.empty();) {
    array a = std::move(behind.back());
    behind.pop_back();
    if (constants.insert(a.id()).second) {
      behind.insert(behind.end(), a.operands().begin(), a.operands().end());
    }
  }
  std::vector<nb::object> unnoted;
  around_.settle(root, handles, constants, unnoted);
  for (const nb::object& handle : unnoted) {
    const array& value = held(handle);
    watched_.push_back({handle, 0, {value.shape(), value.dtype()}, value});
  }
  std::unordered_map<PyObject*, size_t> places;
  found_arrays_ = around_.take_given_arrays();
  for (const nb::object& handle : found_arrays_) {
    places.emplace(handle.ptr(), places.size());
  }
  for (Surrounding& surrounding : surroundings_) {
    if (auto place = places.find(surrounding.handle.ptr()); place != places.end()) {
      surrounding.place = place->second;
      surrounding.handle = nb::object();
    }
  }
}

std::vector<nb::object> CompiledTrace::take_found(Surroundings::Found& found) {
  found = {};
  std::vector<nb::object> owned;
  for (nb::object& handle : found_arrays_) {
    found.arrays.push_back(handle.ptr());
    owned.push_back(std::move(handle));
  }
  for (nb::object& number : found_numbers_) {
    found.numbers.push_back(number.ptr());
    owned.push_back(std::move(number));
  }
  found_arrays_.clear();
  found_numbers_.clear();
  return owned;
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
      specs.push_back({{}, counts_as_complex(key.numbers()[i].value.ptr()) ? core::complex128 : core::float64});
    }
  }
  for (size_t i = 0; i < around_.given_numbers(); ++i) {
    specs.push_back({{}, core::float64});
  }
  return specs;
}

bool CompiledTrace::hold(const std::vector<Surrounding>& surroundings, const Surroundings::Found& found) const {
  return std::all_of(
      surroundings.begin(), surroundings.end(), [&](const Surrounding& s) { return s.fits(read(s.in(found))); });
}

bool CompiledTrace::fits(const CompiledFunction& function, const CallKey& key, Surroundings::Found& found) const {
  if (!std::equal(objects_.begin(), objects_.end(), key.objects().begin(), key.objects().end(), equal)) {
    return false; // which may run code of the user's: first of all, as what is found is borrowed
  }
  found.arrays.clear();
  found.numbers.clear();
  if (!around_.fit(where_to_look(function, key), found) || !hold(surroundings_, found) || !hold(watched_, found)) {
    return false;
  }
  if (!changed_handles_.empty() && found.arrays.size() > 1) { // two handles, of which one is changed, must stay two
    std::unordered_set<PyObject*> distinct(found.arrays.begin(), found.arrays.end());
    if (distinct.size() != found.arrays.size()) {
      return false;
    }
  }
  return !recording_.shapeless || core::misfit(recording_, specs_of(key)).empty();
}

std::string CompiledTrace::misfit(const CompiledFunction& function, const CallKey& key) const {
  Surroundings::Found found;
  bool places_hold = around_.fit(where_to_look(function, key), found);
  if (!places_hold) {
    return changed_places(function, key).front().name +
           ", which it reads from around it, is another object now (pass it as an argument, or list what holds "
           "it in inputs)";
  }
  std::vector<Surrounding> all(surroundings_);
  all.insert(all.end(), watched_.begin(), watched_.end());
  for (const Surrounding& s : all) {
    const array& now = read(s.in(found));
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
  return fits(function, key, found) ? "" : "an object among the arguments is another one";
}

void CompiledTrace::traverse(Traversal& owned) const {
  for (const std::vector<Surrounding>* surroundings : {&surroundings_, &watched_}) {
    for (const Surrounding& surrounding : *surroundings) {
      owned(surrounding.handle);
    }
  }
  owned(objects_);
  around_.traverse(owned);
  if (output_) {
    output_->traverse(owned);
  }
  for (const auto& [root, place] : changed_state_) {
    owned(root);
    place.traverse(owned);
  }
}

nb::object CompiledTrace::run(const CallKey& key, const Surroundings::Found& found) const {
  core::SmallVector<array, 8> arguments;
  arguments.reserve(key.arrays().size());
  for (const nb::object& handle : key.arrays()) {
    arguments.push_back(read(handle));
  }
  for (size_t i = 0; i < runtime_numbers_.size(); ++i) {
    if (runtime_numbers_[i]) {
      arguments.push_back(number_array(key.numbers()[i].value.ptr()));
    }
  }
  for (PyObject* number : found.numbers) {
    arguments.push_back(number_array(number));
  }
  core::SmallVector<array, 8> hidden;
  for (const Surrounding& surrounding : surroundings_) {
    hidden.push_back(read(surrounding.in(found)));
  }
  core::SmallVector<nb::object, 4> changed; // owned from here on: a signal handler may run in between
  for (size_t i : changed_handles_) {
    changed.push_back(nb::borrow(surroundings_[i].in(found)));
  }
  std::vector<array> outputs =
      core::replay(recording_, {arguments.begin(), arguments.size()}, {hidden.begin(), hidden.size()});
  size_t returned = output_->array_count();
  const array* next = outputs.data() + returned;
  for (size_t i : changed_arguments_) {
    rebind(key.arrays()[i].ptr(), *next++);
  }
  for (const CallKey::Foreign& foreign : key.foreign()) {
    if (std::find(changed_arguments_.begin(), changed_arguments_.end(), foreign.place) != changed_arguments_.end()) {
      write_back(foreign.object, key.arrays()[foreign.place]);
    }
  }
  for (const nb::object& handle : changed) {
    rebind(handle.ptr(), *next++);
  }
  for (const auto& [root, place] : changed_state_) {
    place.assign(root, nb::steal(wrap(*next++)));
  }
  if (returned_sizes_.empty()) {
    return output_->build_of(std::span<array>(outputs).first(returned));
  }
  ArrayTree::Replaced sizes;
  for (size_t i : returned_sizes_) {
    array size = *next++;
    evaluate(size);
    sizes.emplace_back(i, nb::int_(*size.data<int64_t>()));
  }
  return output_->build_of(std::span<array>(outputs).first(returned), sizes);
}

} // namespace mlx::python
