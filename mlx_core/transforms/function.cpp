// The rules of Function: each replays the body under the transform in question.
#include "mlx_core/transforms/function.h"

#include <map>
#include <numeric>

#include "mlx_core/ops.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

std::shared_ptr<const FunctionBody> trace_function(const VectorFunction& fun, const std::vector<array>& args) {
  auto body = std::make_shared<FunctionBody>();
  Frame frame(Frame::Kind::trace);
  for (const array& arg : args) {
    body->parameters.push_back(frame.abstract(arg.shape(), arg.dtype()));
  }
  body->outputs = fun(body->parameters);
  // What the body uses but does not compute from its parameters comes in as an operand, so that transforms see it.
  Tape tape(frame, body->outputs);
  std::map<uintptr_t, bool> known;
  auto capture = [&](const array& a) {
    if (tape.index_of(a) < 0 && known.emplace(a.id(), true).second) {
      body->captured.push_back(a);
    }
  };
  for (size_t i = args.size(); i < tape.nodes().size(); ++i) {
    for (const array& operand : tape.nodes()[i]->operands()) {
      capture(operand);
    }
  }
  for (const array& output : body->outputs) {
    capture(output);
  }
  return body;
}

std::vector<array> replay(const FunctionBody& body, Operands arguments) {
  std::map<uintptr_t, array> known;
  for (size_t i = 0; i < body.parameters.size(); ++i) {
    known.emplace(body.parameters[i].id(), arguments[i]);
  }
  for (size_t i = 0; i < body.captured.size(); ++i) {
    known.emplace(body.captured[i].id(), arguments[body.parameters.size() + i]);
  }
  std::map<uintptr_t, std::vector<array>> applications;

  auto has = [&](const array& a) { return known.count(a.id()) || applications.count(a.id()); };
  std::vector<array> stack;
  for (const array& output : body.outputs) {
    stack.push_back(output);
    while (!stack.empty()) {
      array top = stack.back();
      if (has(top)) {
        stack.pop_back();
        continue;
      }
      bool ready = true;
      for (const array& operand : top.operands()) {
        if (!has(operand)) {
          stack.push_back(operand);
          ready = false;
        }
      }
      if (!ready) {
        continue;
      }
      stack.pop_back();
      if (const Project* projection = Tape::projection(top.node())) {
        known.emplace(top.id(), applications.at(top.operands()[0].id())[static_cast<size_t>(projection->index())]);
        continue;
      }
      OriginScope scope(top.node()->origin);
      std::vector<array> operands;
      for (const array& operand : top.operands()) {
        operands.push_back(known.at(operand.id()));
      }
      std::vector<array> results = applied_many(self(top.primitive()), operands);
      if (Tape::is_application(top.node())) {
        applications.emplace(top.id(), std::move(results));
      } else {
        known.emplace(top.id(), results[0]);
      }
    }
  }
  std::vector<array> out;
  for (const array& output : body.outputs) {
    out.push_back(known.at(output.id()));
  }
  return out;
}

namespace {

VectorFunction replayed(const Function& f) {
  return [&f](const std::vector<array>& in) { return replay(f.body(), in); };
}
std::vector<array> vector_of(Operands operands) { return {operands.begin(), operands.end()}; }

Tangents function_jvp(const Function& f, Operands primals, const Tangents& tangents, Operands) {
  std::vector<array> dense;
  for (size_t i = 0; i < primals.size(); ++i) {
    dense.push_back(tangents[i] ? *tangents[i] : zeros_like(primals[i]));
  }
  std::vector<array> pushed = jvp(replayed(f), vector_of(primals), dense).second;
  return Tangents(pushed.begin(), pushed.end());
}

Tangents function_vjp(
    const Function& f, Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) {
  auto dense = [&](const std::vector<array>& outputs) {
    std::vector<array> cts;
    for (size_t i = 0; i < outputs.size(); ++i) {
      cts.push_back(i < cotangents.size() && cotangents[i] ? *cotangents[i] : zeros_like(outputs[i]));
    }
    return cts;
  };
  std::vector<array> pulled = vjp(replayed(f), vector_of(primals), dense).second;
  return Tangents(pulled.begin(), pulled.end());
}

Mapped function_vmap(const Function& f, Operands operands, const MapAxes& axes) {
  VmapAxes in_axes(axes.begin(), axes.end());
  Mapped out;
  out.outputs = vmap(replayed(f), in_axes)(vector_of(operands));
  out.axes = MapAxes(out.outputs.size(), MapAxis(0));
  return out;
}

} // namespace

std::vector<array> call_as_function(const VectorFunction& fun, const std::vector<array>& args) {
  Function::install({replay, function_jvp, function_vjp, function_vmap}); // the only place that makes Functions
  std::shared_ptr<const FunctionBody> body = trace_function(fun, args);
  std::vector<array> operands(args);
  operands.insert(operands.end(), body->captured.begin(), body->captured.end());
  return applied_many(make_primitive<Function>(body), operands);
}

} // namespace mlx::core
