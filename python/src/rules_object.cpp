// The type behind rules_object.
#include "python/src/rules_object.h"

#include <unordered_map>

namespace mlx::python {

namespace {

using Rules = std::shared_ptr<const core::CustomRules>;

// The objects there are, by their rules; they take themselves out.
std::unordered_map<const core::CustomRules*, PyObject*>& objects() {
  static auto& all = *new std::unordered_map<const core::CustomRules*, PyObject*>;
  return all;
}

struct RulesObject {
  Rules rules;

  explicit RulesObject(Rules given) : rules(std::move(given)) {}
  RulesObject(const RulesObject&) = delete;
  ~RulesObject() { objects().erase(rules.get()); }

  // What only this object keeps alive. While a transform is open, it keeps the rules, too.
  static void traverse(const Rules& rules, Traversal& owned) {
    if (rules.use_count() != 1) {
      return;
    }
    for (auto* objects : {&rules->objects, &rules->jvp_objects, &rules->vjp_objects, &rules->vmap_objects}) {
      if (objects->use_count() == 1) {
        if (auto* python = dynamic_cast<const PythonObjects*>(objects->get())) {
          python->traverse(owned);
        }
      }
    }
    for (const Rules& part : rules->parts) {
      traverse(part, owned);
    }
  }

  static int traverse(PyObject* self, visitproc visit, void* arg) {
    Traversal owned(visit, arg);
    owned(reinterpret_cast<PyObject*>(Py_TYPE(self)));
    if (nb::inst_ready(self)) {
      traverse(nb::inst_ptr<RulesObject>(self)->rules, owned);
    }
    return owned.result();
  }
};

} // namespace

nb::object rules_object(Rules rules) {
  auto found = objects().find(rules.get());
  if (found != objects().end()) {
    return nb::borrow(found->second);
  }
  const core::CustomRules* key = rules.get();
  nb::object made = nb::cast(new RulesObject(std::move(rules)), nb::rv_policy::take_ownership);
  objects().emplace(key, made.ptr());
  return made;
}

const Rules& rules_of_object(nb::handle object) { return nb::inst_ptr<RulesObject>(object)->rules; }

void bind_rules_object(nb::module_& m) {
  // No tp_clear: what owns this object, or the function that a rule is, breaks any cycle.
  static PyType_Slot slots[] = {
      {Py_tp_traverse, reinterpret_cast<void*>(static_cast<traverseproc>(RulesObject::traverse))}, {0, nullptr}};
  nb::class_<RulesObject>(m, "_CustomRules", nb::type_slots(slots));
}

} // namespace mlx::python
