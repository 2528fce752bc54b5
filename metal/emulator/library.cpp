// A library: its text is rewritten at once, its kernels are compiled one by one when they are asked for.
#include <algorithm>

#include "clang.h"
#include "kernel.h"
#include "rewriter.h"

namespace mlx::core::metal_emulator {

namespace {

Rewritten rewrite_text(const Text& text) {
  std::string prelude = preprocess(text);
  Rewritten result = rewrite(prelude, headers_folder());
  if (prelude.find("msl_program") == std::string::npos) {
    throw CompileError(text.file + ":1: error: the text does not include <metal_stdlib>\n");
  }
  return result;
}

// What the rewriter found comes in front of what clang makes of it.
void with_errors(const std::string& errors, auto check) {
  try {
    check();
  } catch (const CompileError& error) {
    throw CompileError(errors + error.what());
  }
  if (!errors.empty()) throw CompileError(errors);
}

// The call of a kernel, with messages that point to where it was declared or instantiated.
std::string calling(const KernelName& kernel, const std::string& function) {
  return "\n# " + std::to_string(kernel.line) + " \"" + kernel.file + "\"\n" + function + " { " + kernel.expression +
         "(); }\n";
}

std::string with_entry(const Rewritten& text, const KernelName& kernel) {
  return text.text + calling(kernel, "extern \"C\" void msl_entry()");
}

class TextLibrary : public Library {
 public:
  explicit TextLibrary(Rewritten text) : text_(std::move(text)) {}

  std::vector<std::string> function_names() const override {
    std::vector<std::string> names;
    for (auto& kernel : text_.kernels) names.push_back(kernel.host_name);
    return names;
  }

  std::shared_ptr<const Function> function(
      const std::string& name, std::span<const FunctionConstant> constants) const override {
    auto found = std::find_if(text_.kernels.begin(), text_.kernels.end(), [&](auto& k) { return k.host_name == name; });
    if (found == text_.kernels.end()) return nullptr;
    return std::make_shared<Kernel>(name, compile_rewritten(with_entry(text_, *found)), constants);
  }

 private:
  Rewritten text_;
};

} // namespace

std::shared_ptr<const Library> compile(const Text& text) {
  Rewritten rewritten = rewrite_text(text);
  with_errors(rewritten.errors, [&] {
    // A text of one kernel, as fused plans are, is checked by compiling it: clang reads it once.
    if (rewritten.kernels.size() == 1 && rewritten.kernels[0].expression.find('<') == std::string::npos) {
      compile_rewritten(with_entry(rewritten, rewritten.kernels[0]));
    } else {
      check_once(rewritten.text);
    }
  });
  return std::make_shared<TextLibrary>(std::move(rewritten));
}

void check(const Text& text) {
  Rewritten rewritten = rewrite_text(text);
  std::string all = rewritten.text;
  int count = 0;
  for (auto& kernel : rewritten.kernels)
    all += calling(kernel, "inline void msl_check_" + std::to_string(count++) + "()");
  with_errors(rewritten.errors, [&] { check_rewritten(all); });
}

} // namespace mlx::core::metal_emulator
