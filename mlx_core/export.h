// Functions in files: recorded from calls, and called again in another program.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mlx_core/transforms.h"

namespace mlx::core {

using NamedArrays = std::map<std::string, array>;
using ExportableFunction = std::function<std::vector<array>(const std::vector<array>& args, const NamedArrays& kwargs)>;

// Records calls of functions, each as one trace; the file is written by close(). A shapeless trace serves other sizes
// of its arguments, as far as the function does not depend on them otherwise than through shapes; what it does depend
// on is recorded and checked at the call.
class FunctionExporter {
 public:
  FunctionExporter(std::string file, bool shapeless = false, std::string metadata = {});
  ~FunctionExporter(); // writes nothing
  FunctionExporter(const FunctionExporter&) = delete;
  FunctionExporter& operator=(const FunctionExporter&) = delete;

  // The function must not read values of its arguments. Throws std::runtime_error for a second trace of the same
  // arguments.
  void trace(const ExportableFunction& fun, const std::vector<array>& args, const NamedArrays& kwargs = {});
  void close();
  void discard(); // closes without writing

 private:
  struct State;
  std::unique_ptr<State> state_;
};

void export_function(const std::string& file, const ExportableFunction& fun, const std::vector<array>& args,
    const NamedArrays& kwargs = {}, bool shapeless = false, std::string metadata = {});

// The functions of a file. A call makes ordinary operations, which can be transformed like any others.
class ImportedFunction {
 public:
  // Throws std::runtime_error when the file cannot be read, std::invalid_argument when it is damaged.
  explicit ImportedFunction(const std::string& file);
  // Throws std::invalid_argument when no trace has such arguments.
  std::vector<array> operator()(const std::vector<array>& args, const NamedArrays& kwargs = {}) const;
  const std::string& metadata() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

} // namespace mlx::core
