// Where nodes come from: the line of the user's program, and the transform that made them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mlx::core {

struct Origin {
  std::string file;
  std::string function;
  int line = 0; // 0: unknown
  // The transform that made the node: "vjp", "jvp", "vmap", or several, outermost first: "vmap(vjp)". Empty: the
  // program itself.
  std::string pass;
  // Axes that transforms added for their lanes, outermost first.
  struct Lanes {
    int64_t count;
    int axis;
  };
  std::vector<Lanes> lanes;

  std::string place() const; // "train.py:12 in loss"; empty when unknown
};

// Origins are kept in a table for good; nodes hold indices. 0 is the unknown origin.
uint32_t intern_origin(const Origin& origin);
const Origin& origin_at(uint32_t index);
// How many there are.
size_t known_origins();
// The same line in a pass of its own; lanes != 0 says that results have a new first axis of that length.
uint32_t origin_in_pass(uint32_t index, const char* pass, int64_t lanes = 0);
// The same origin with its outermost lanes along another axis.
uint32_t origin_with_lanes_along(uint32_t index, int axis);

// Nodes made in this scope carry this origin, so that a backward node knows the line that caused it.
class OriginScope {
 public:
  explicit OriginScope(uint32_t origin);
  OriginScope(uint32_t origin, const char* pass, int64_t lanes = 0);
  ~OriginScope();
  OriginScope(const OriginScope&) = delete;
  OriginScope& operator=(const OriginScope&) = delete;

 private:
  uint32_t outer_;
};

// Asked for the origin of a node that is made outside of any scope. Null removes it.
using OriginHook = uint32_t (*)();
void set_origin_hook(OriginHook hook);

} // namespace mlx::core
