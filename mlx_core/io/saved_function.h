// Functions as data: what a file of exported functions holds, and how it becomes operations again.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "mlx_core/primitive.h"
#include "mlx_core/transforms.h"

namespace mlx::core {
class Frame;
}

namespace mlx::core::io {

// A size: a number, or the index of an expression of the trace.
struct SavedDim {
  bool symbolic = false;
  int64_t value = 0;
  bool operator==(const SavedDim&) const = default;
};
// + - * / of two sizes; or 's', the size called `left`, which was `right` when the function was traced.
struct SavedExpression {
  uint8_t op;
  SavedDim left, right;
};
struct SavedSpec {
  std::vector<SavedDim> shape;
  Dtype dtype;
};

struct SavedBody;
// Integers are plain SavedDims; axes are lists of them.
using ParamValue =
    std::variant<bool, SavedDim, double, std::string, Dtype, std::vector<SavedDim>, std::shared_ptr<const SavedBody>>;
struct Param {
  std::string name;
  ParamValue value;
};

// One operation. An operand is a value of the body (inputs first, then the results in order), or, below 0, constant
// -1 - operand of the file.
struct SavedOp {
  std::string name;
  std::vector<Param> params;
  std::vector<int64_t> operands;
  std::vector<SavedSpec> results;
};
struct SavedBody {
  std::vector<SavedSpec> inputs;
  std::vector<SavedOp> ops;
  std::vector<int64_t> outputs;
};
struct SavedGuard { // the trace holds where this size is
  SavedDim size;
  int64_t expected;
};
// One call: the positional arguments, then those by keyword.
struct SavedTrace {
  int64_t positional;
  std::vector<std::string> keywords;
  std::vector<SavedExpression> expressions;
  std::vector<SavedGuard> guards;
  SavedBody body;
};
struct SavedFile {
  std::string metadata;
  std::vector<SavedTrace> traces;
  std::vector<array> constants;
};

// --- record.cpp ---
// fun(args) as a trace; new constants are appended. With shapeless the sizes of the arguments are symbols.
SavedTrace record(const VectorFunction& fun, const std::vector<array>& args, std::vector<std::string> keywords,
    bool shapeless, std::vector<array>& constants);

// What is recorded already: the operations behind the outputs, around the placeholders of a frame, and the guards of
// the sizes in them.
SavedTrace saved_trace(
    const SymbolTrace& symbols, const Frame& frame, std::span<const array> outputs, std::vector<array>& constants);

// --- fit.cpp ---
// The values of a trace's expressions where its first inputs are these arguments; nullopt when it does not serve them,
// with the reason in `why` as far as it is not plain to see.
std::optional<std::vector<int64_t>> sizes_for(
    const SavedTrace& trace, std::span<const Spec> arguments, std::string& why);

// --- rebuild.cpp ---
// The value of each expression of a trace, by the sizes of its symbols. Throws std::invalid_argument when it has none.
std::vector<int64_t> evaluate(const SavedTrace& trace, const std::vector<int64_t>& symbols);
// What a trace is called with: the values of its expressions, and the constants of its file.
struct Given {
  const std::vector<int64_t>& expressions;
  const std::vector<array>& constants;

  int64_t value(SavedDim dim) const {
    return dim.symbolic ? expressions.at(static_cast<size_t>(dim.value)) : dim.value;
  }
  Shape shape(const std::vector<SavedDim>& dims) const { return Shape(values(dims)); }
  std::vector<int64_t> values(const std::vector<SavedDim>& dims) const;
};
// The operations of a body, applied to arguments. Throws std::invalid_argument when the data makes no sense.
std::vector<array> rebuild(const SavedBody& body, const std::vector<array>& args, const Given& given);

// --- format.cpp ---
std::string to_bytes(const SavedFile& file);
// Throws std::invalid_argument, naming the file, for anything that to_bytes does not write.
SavedFile from_bytes(const std::string& bytes, const std::string& file_name);

} // namespace mlx::core::io
