// What of the surroundings of a function counts, once it is known what the function read and changed.
#include "python/src/array/convert.h"
#include "python/src/compile/surroundings.h"

namespace mlx::python {

PyObject* Surroundings::dict_behind(const Node& node, PyObject* parent) {
  switch (node.step) {
    case Step::global: return PyFunction_GET_GLOBALS(parent);
    case Step::class_entry: return reinterpret_cast<PyTypeObject*>(parent)->tp_dict;
    case Step::module_entry: return PyModule_GetDict(parent);
    default: return nullptr;
  }
}

namespace {

// Whether functions with these codes only leave something in this variable or attribute.
bool only_left(const std::vector<nb::object>& codes, PyObject* variable) {
  nb::list all;
  for (const nb::object& code : codes) {
    all.append(code);
  }
  nb::object left = nb::module_::import_("mlx._left_behind").attr("only_left")(all, nb::handle(variable));
  return nb::cast<bool>(left);
}

} // namespace

void Surroundings::settle(nb::handle fun, const std::unordered_set<PyObject*>& read,
    const std::unordered_set<uintptr_t>& constants, std::vector<nb::object>& unnoted) {
  for (Node& node : nodes_) {
    if (node.kind != Kind::array && node.kind != Kind::given_array) {
      continue;
    }
    bool noted = read.contains(node.expected.ptr());
    bool used = noted || constants.contains(held(node.expected).id());
    if (used && !noted) {
      unnoted.push_back(node.expected);
    }
    if (node.kind == Kind::given_array && noted) {
      given_arrays_.push_back(std::move(node.expected));
    } else if (used) {
      node.kind = Kind::read_array;
    } else {
      node.kind = Kind::array;
      node.expected = nb::object();
    }
  }
  std::unordered_map<PyObject*, bool> known;
  for (uint32_t i : changed(fun)) {
    PyObject* name = variable(i);
    auto [answer, added] = known.emplace(name, false);
    if (added && name) {
      answer->second = only_left(codes_, name);
    }
    if (answer->second) {
      nodes_[i].kind = Kind::ignored;
    }
  }
  codes_.clear();
  drop_what_is_too_much();
  find_shortcuts();
}

void Surroundings::find_shortcuts() {
  for (size_t i = nodes_.size(); i-- > 0;) {
    Node& node = nodes_[i];
    bool alone = node.mark < 0 && node.next == i + 1;
    bool kept = alone && node.expected.is_valid() && !node.weak;
    switch (node.kind) {
      case Kind::ignored: node.shortcuts = leaf; break;
      case Kind::array: node.shortcuts = alone ? by_type | leaf : 0; break;
      case Kind::value: node.shortcuts = kept && !PyAnySet_Check(node.expected.ptr()) ? by_object | leaf : 0; break;
      case Kind::read_array: node.shortcuts = kept ? by_object | leaf : 0; break;
      case Kind::identity:
        node.shortcuts =
            static_cast<uint8_t>((kept && node.size == 0 ? by_object : 0) | (alone && node.size == 0 ? leaf : 0));
        break;
      case Kind::mapping: {
        uint32_t child = static_cast<uint32_t>(i) + 1;
        while (child < node.next && nodes_[child].step == Step::entry && (nodes_[child].shortcuts & leaf) != 0) {
          child = nodes_[child].next;
        }
        node.shortcuts = child == node.next ? flat : 0;
        break;
      }
      default: break;
    }
  }
}

// Past the bound, what leads to no array that was read is compared by its type and length alone.
void Surroundings::drop_what_is_too_much() {
  if (nodes_.size() <= size_t{most}) {
    return;
  }
  cut_off_ = true;
  std::vector<bool> needed(nodes_.size(), false);
  for (size_t i = nodes_.size(); i-- > 0;) {
    Kind kind = nodes_[i].kind;
    needed[i] = needed[i] || kind == Kind::read_array || kind == Kind::given_array || kind == Kind::number;
    if (needed[i]) {
      needed[nodes_[i].parent] = true;
    }
  }
  std::vector<Node> kept;
  std::vector<uint32_t> number(nodes_.size());
  for (uint32_t i = 0; i < nodes_.size();) {
    Node& node = nodes_[i];
    number[i] = static_cast<uint32_t>(kept.size());
    bool shallow = !needed[i] && node.next - i > 64;
    uint32_t next = shallow ? node.next : i + 1;
    if (shallow) {
      bool container = node.kind == Kind::sequence || node.kind == Kind::mapping || node.kind == Kind::collection;
      node.kind = container ? Kind::sized : node.kind;
      for (uint32_t inside = i + 1; inside < next; ++inside) {
        number[inside] = number[i] + 1;
      }
    }
    kept.push_back(node);
    i = next;
  }
  for (Node& node : kept) {
    node.parent = number[node.parent];
    node.next = node.next < number.size() ? number[node.next] : static_cast<uint32_t>(kept.size());
  }
  nodes_ = std::move(kept);
}

} // namespace mlx::python
