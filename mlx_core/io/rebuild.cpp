// From a trace to operations: each is made again from its parts (remake.h), which are checked, for a file is no more
// trusted than a user.
#include "mlx_core/io/saved_function.h"
#include "mlx_core/remake.h"

namespace mlx::core::io {

namespace {

constexpr const char* op_name = "import_function";
constexpr int64_t largest_size = int64_t{1} << 61; // sums of two do not overflow

std::vector<array> apply(const SavedOp& op, std::vector<array> operands, const Given& given) {
  Params params;
  Parts::Functions functions;
  for (const Param& param : op.params) {
    std::visit(
        [&]<typename T>(const T& value) {
          if constexpr (std::is_same_v<T, SavedDim>) {
            params.add(param.name, given.value(value));
          } else if constexpr (std::is_same_v<T, std::vector<SavedDim>>) {
            params.add(param.name, given.shape(value));
          } else if constexpr (std::is_same_v<T, std::shared_ptr<const SavedBody>>) {
            functions.emplace_back(
                param.name, [&](const std::vector<array>& args) { return rebuild(*value, args, given); });
          } else {
            params.add(param.name, value);
          }
        },
        param.value);
  }
  return remade(op.name, Parts(std::move(params), std::move(functions), std::move(operands)));
}

} // namespace

std::vector<int64_t> Given::values(const std::vector<SavedDim>& dims) const {
  std::vector<int64_t> out;
  for (SavedDim d : dims) {
    out.push_back(value(d));
    if (out.back() < -largest_size || out.back() > largest_size) {
      fail(op_name, "a size is ", out.back(), ".");
    }
  }
  return out;
}

std::vector<int64_t> evaluate(const SavedTrace& trace, const std::vector<int64_t>& symbols) {
  std::vector<int64_t> values;
  auto part = [&](SavedDim dim) { return dim.symbolic ? values.at(static_cast<size_t>(dim.value)) : dim.value; };
  for (const SavedExpression& e : trace.expressions) { // parts come first
    int64_t out = 0;
    bool undefined = false;
    if (e.op == 's') {
      out = symbols.at(static_cast<size_t>(e.left.value));
    } else {
      int64_t a = part(e.left), b = part(e.right);
      switch (e.op) {
        case '+': undefined = __builtin_add_overflow(a, b, &out); break;
        case '-': undefined = __builtin_sub_overflow(a, b, &out); break;
        case '*': undefined = __builtin_mul_overflow(a, b, &out); break;
        case '/':
          undefined = b == 0 || b == -1;
          out = undefined ? 0 : a / b;
          break;
        default: try { out = SymbolTrace::compute(static_cast<char>(e.op), a, b);
          } catch (const SizeError&) {
            undefined = true;
          }
      }
    }
    if (undefined) {
      fail(op_name, "a size cannot be computed from the sizes of the arguments.");
    }
    values.push_back(out);
  }
  return values;
}

std::vector<array> rebuild(const SavedBody& body, const std::vector<array>& args, const Given& given) {
  if (args.size() != body.inputs.size()) {
    fail(op_name, "a function inside has ", body.inputs.size(), " inputs but ", args.size(), " operands.");
  }
  std::vector<array> values(args);
  auto value = [&](int64_t at) -> const array& {
    return at < 0 ? given.constants.at(static_cast<size_t>(-1 - at)) : values.at(static_cast<size_t>(at));
  };
  for (const SavedOp& op : body.ops) {
    std::vector<array> operands, results;
    for (int64_t operand : op.operands) {
      operands.push_back(value(operand));
    }
    try {
      results = apply(op, std::move(operands), given);
      Parts::require(results.size() == op.results.size(), "the number of results is another.");
      for (size_t i = 0; i < results.size(); ++i) {
        Parts::require(
            results[i].dtype() == op.results[i].dtype && results[i].shape() == given.shape(op.results[i].shape),
            "the result has another shape or dtype than was recorded.");
      }
    } catch (const std::logic_error& error) { // invalid arguments, lengths and places
      fail(op_name, op.name, " cannot be made: ", error.what());
    }
    values.insert(values.end(), results.begin(), results.end());
  }
  std::vector<array> outputs;
  for (int64_t output : body.outputs) {
    outputs.push_back(value(output));
  }
  return outputs;
}

} // namespace mlx::core::io
