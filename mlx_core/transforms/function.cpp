// The rules of Function: each replays the body under the transform in question.
#include "mlx_core/transforms/function.h"

#include <cstring>
#include <map>

#include "mlx_core/interrupt.h"
#include "mlx_core/ops.h"
#include "mlx_core/trace_level.h"
#include "mlx_core/transforms/custom.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

std::vector<array> captured_by(const Frame& frame, const std::vector<array>& outputs) {
  std::vector<array> captured;
  Tape tape(frame, outputs);
  std::map<uintptr_t, bool> known;
  auto capture = [&](const array& a) {
    if (tape.index_of(a) < 0 && known.emplace(a.id(), true).second) {
      captured.push_back(a);
    }
  };
  InterruptPoll poll(4096);
  for (size_t i = frame.placeholders().size(); i < tape.nodes().size(); ++i) {
    poll();
    for (const array& operand : tape.nodes()[i]->operands()) {
      capture(operand);
    }
  }
  for (const array& output : outputs) {
    capture(output);
  }
  return captured;
}

std::shared_ptr<const FunctionBody> trace_function(const VectorFunction& fun, const std::vector<array>& args) {
  Frame frame(Frame::Kind::trace);
  FunctionBody ran;
  for (const array& arg : args) {
    ran.parameters.push_back(frame.primal(arg));
  }
  ran.outputs = fun(ran.parameters);
  ran.captured = captured_by(frame, ran.outputs);
  // The body is a copy: it must not hold the arguments, and what the function leaves behind may be evaluated, which
  // would let the graph go.
  Frame inner(Frame::Kind::trace);
  auto body = std::make_shared<FunctionBody>();
  for (const array& arg : args) {
    body->parameters.push_back(inner.abstract(arg.shape(), arg.dtype()));
  }
  body->captured = std::move(ran.captured);
  ran.captured = body->captured;
  body->outputs = replay(ran, operands_of(*body, body->parameters));
  return body;
}

std::vector<array> operands_of(const FunctionBody& body, const std::vector<array>& args) {
  std::vector<array> operands(args);
  operands.insert(operands.end(), body.captured.begin(), body.captured.end());
  return operands;
}

std::shared_ptr<const FunctionBody> without_captured(std::shared_ptr<const FunctionBody> body) {
  if (body->captured.empty()) {
    return body;
  }
  Frame frame(Frame::Kind::trace);
  auto closed = std::make_shared<FunctionBody>();
  closed->parameters = body->parameters;
  for (const array& a : body->captured) {
    closed->captured.push_back(frame.abstract(a.shape(), a.dtype()));
  }
  closed->outputs = replay(*body, operands_of(*closed, closed->parameters));
  return closed;
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

array as_leaf(const array& a) {
  Node* node = a.node();
  if (node->buffer) {
    return array(node->buffer, node->offset, a.shape(), a.strides(), a.dtype());
  }
  if (a.ndim() == 0) {
    return array::scalar_from_bytes(a.raw_data(), a.dtype());
  }
  array leaf = array::uninitialized(a.shape(), a.dtype());
  std::memcpy(leaf.mutable_data(), a.raw_data(), leaf.nbytes()); // one element, kept in its node, or none
  return leaf;
}

std::vector<array> run_body(const FunctionBody& body, std::vector<array> arguments) {
  throw_if_interrupted();
  LevelFloor outside(0);
  for (array& argument : arguments) {
    // Nodes of an open transform keep their operands: over many runs they would pile up.
    if (argument.node()->level != 0) {
      argument = as_leaf(argument);
    }
  }
  std::vector<array> results = replay(body, arguments);
  arguments.clear(); // what nobody else holds may be changed in place
  eval(std::span<const array>(results));
  return results;
}

namespace {

// The body as a function of the operands at `positions`; the others keep the values they have.
VectorFunction function_of(const FunctionBody& body, Operands operands, const std::vector<size_t>& positions) {
  return [&body, operands, positions](const std::vector<array>& in) {
    std::vector<array> all(operands.begin(), operands.end());
    for (size_t i = 0; i < positions.size(); ++i) {
      all[positions[i]] = in[i];
    }
    return replay(body, all);
  };
}

std::vector<array> at(Operands operands, const std::vector<size_t>& positions) {
  std::vector<array> chosen;
  for (size_t position : positions) {
    chosen.push_back(operands[position]);
  }
  return chosen;
}

Tangents function_jvp(const Function& f, Operands primals, const Tangents& tangents, Operands) {
  return push_through(f.body(), primals, tangents);
}

Tangents function_vjp(
    const Function& f, Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) {
  return pull_through(f.body(), primals, cotangents, wanted);
}

// Again a Function, which keeps recomputing instead of keeping what is inside.
Mapped function_vmap(const Function& f, Operands operands, const MapAxes& axes) {
  VectorFunction lane = [&f](const std::vector<array>& in) { return replay(f.body(), in); };
  Mapped out;
  out.outputs = call_as_function(
      vmap(lane, VmapAxes(axes.begin(), axes.end())), std::vector<array>(operands.begin(), operands.end()));
  out.axes = MapAxes(out.outputs.size(), MapAxis(0));
  return out;
}

} // namespace

Tangents push_through(const FunctionBody& body, Operands primals, const Tangents& tangents) {
  std::vector<size_t> positions;
  std::vector<array> given;
  for (size_t i = 0; i < primals.size(); ++i) {
    if (tangents[i] && primals[i].dtype().is_inexact()) {
      positions.push_back(i);
      given.push_back(*tangents[i]);
    }
  }
  std::vector<array> pushed = jvp(function_of(body, primals, positions), at(primals, positions), given).second;
  return Tangents(pushed.begin(), pushed.end());
}

Tangents pull_through(
    const FunctionBody& body, Operands primals, const Tangents& cotangents, std::span<const bool> wanted) {
  std::vector<size_t> positions;
  for (size_t i = 0; i < primals.size(); ++i) {
    if (wanted[i]) {
      positions.push_back(i);
    }
  }
  auto dense = [&](const std::vector<array>& outputs) { return dense_cotangents(cotangents, outputs); };
  std::vector<array> pulled = vjp(function_of(body, primals, positions), at(primals, positions), dense).second;
  Tangents all(primals.size());
  for (size_t i = 0; i < positions.size(); ++i) {
    all[positions[i]] = pulled[i];
  }
  return all;
}

std::vector<array> dense_cotangents(const Tangents& cotangents, Operands outputs) {
  std::vector<array> dense;
  for (size_t i = 0; i < outputs.size(); ++i) {
    dense.push_back(i < cotangents.size() && cotangents[i] ? *cotangents[i] : zeros_like(outputs[i]));
  }
  return dense;
}

void install_function_rules() {
  static const bool installed = (Function::install({replay, function_jvp, function_vjp, function_vmap}), true);
  (void)installed;
}

std::vector<array> call_as_function(const VectorFunction& fun, const std::vector<array>& args) {
  if (derivatives_are_unneeded(args)) { // nothing would be computed again
    return fun(args);
  }
  install_function_rules();
  std::shared_ptr<const FunctionBody> body = trace_function(fun, args);
  return applied_many(make_primitive<Function>(without_captured(body)), operands_of(*body, args));
}

VectorFunction checkpoint(const VectorFunction& fun) {
  return [fun](const std::vector<array>& args) { return call_as_function(fun, args); };
}

} // namespace mlx::core
