// Comparing, hashing and printing parameters by their types.
#include "mlx_core/params.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "mlx_core/program/program.h"

namespace mlx::core {

namespace {

class Collector final : public ParamVisitor {
 public:
  explicit Collector(Params& params) : params_(params) {}
  void operator()(const char* name, bool v) override { params_.add(name, v); }
  void operator()(const char* name, int64_t v) override { params_.add(name, v); }
  void operator()(const char* name, Dim v) override { params_.add(name, v); }
  void operator()(const char* name, double v) override { params_.add(name, v); }
  void operator()(const char* name, std::string_view v) override { params_.add(name, std::string(v)); }
  void operator()(const char* name, Dtype v) override { params_.add(name, v); }
  void operator()(const char* name, const Shape& v) override { params_.add(name, v); }
  void operator()(const char* name, std::span<const int64_t> v) override {
    params_.add(name, std::vector<int64_t>(v.begin(), v.end()));
  }
  void operator()(const char* name, std::span<const int> v) override { params_.add(name, Axes(v.begin(), v.end())); }
  void operator()(const char* name, const SharedProgram& v) override { params_.add(name, v); }

 private:
  Params& params_;
};

template <typename T>
constexpr bool is_number = std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, int>;

// One value as bits. A size that is an expression is its place in the open trace.
uint64_t bits(Dim v) { return std::bit_cast<uint64_t>(v); }
uint64_t bits(double v) { return std::bit_cast<uint64_t>(v); } // -0 is not 0, and NaN is itself
uint64_t bits(Dtype v) { return static_cast<uint64_t>(v.val); }
template <typename T>
  requires is_number<T>
uint64_t bits(T v) {
  return static_cast<uint64_t>(v);
}

bool same(const std::string& a, const std::string& b) { return a == b; }
bool same(const SharedProgram& a, const SharedProgram& b) { return equivalent(*a, *b); }
template <typename T>
bool same(const T& a, const T& b) {
  if constexpr (requires { a.begin(); }) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](auto x, auto y) { return bits(x) == bits(y); });
  } else {
    return bits(a) == bits(b);
  }
}

uint64_t hashed(const std::string& v) { return std::hash<std::string>()(v); }
uint64_t hashed(const SharedProgram& v) { return hash_of(*v); }
template <typename T>
uint64_t hashed(const T& v) {
  if constexpr (requires { v.begin(); }) {
    uint64_t hash = v.size();
    for (auto entry : v) {
      hash = mixed(hash, bits(entry));
    }
    return hash;
  } else {
    return bits(v);
  }
}

std::string text(bool v) { return v ? "True" : "False"; }
std::string text(int64_t v) { return std::to_string(v); }
std::string text(Dim v) { return v.to_string(); }
std::string text(double v) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.17g", v);
  return digits;
}
std::string text(const std::string& v) { // in one line
  std::string quoted = "'";
  for (char c : v) {
    c == '\n' ? quoted += "\\n" : quoted += c;
  }
  return quoted + "'";
}
std::string text(Dtype v) { return std::string(name_of(v)); }
std::string text(const Shape& v) { return to_string(v); }
std::string text(const SharedProgram& v) {
  size_t count = v->steps().size();
  return "<" + std::to_string(count) + (count == 1 ? " operation>" : " operations>");
}
template <typename List>
  requires requires(const List& list) { list.size(); }
std::string text(const List& v) {
  std::string list = "(";
  for (auto entry : v) {
    list += std::to_string(entry) + ",";
  }
  return list + ")";
}

} // namespace

Params::Params(const Primitive& p) {
  Collector collector(*this);
  p.visit(collector);
}

bool operator==(const Params& a, const Params& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Param& x, const Param& y) {
    return x.name == y.name && x.value.index() == y.value.index() &&
           std::visit([&]<typename T>(const T& value) { return same(value, *std::get_if<T>(&y.value)); }, x.value);
  });
}

uint64_t Params::hash() const {
  uint64_t hash = all_.size();
  for (const Param& param : all_) {
    hash = mixed(hash, std::hash<std::string_view>()(param.name) + param.value.index());
    hash = mixed(hash, std::visit([](const auto& value) { return hashed(value); }, param.value));
  }
  return hash;
}

std::string Params::to_string() const {
  std::string out;
  for (const Param& param : all_) {
    out += (out.empty() ? "" : ", ") + std::string(param.name) + "=" +
           std::visit([](const auto& value) { return text(value); }, param.value);
  }
  return "(" + out + ")";
}

bool identical(Dim a, Dim b) { return bits(a) == bits(b); }
bool identical(const Shape& a, const Shape& b) { return same(a, b); }

std::string params_to_string(const Primitive& p) { return Params(p).to_string(); }
bool equivalent(const Primitive& a, const Primitive& b) {
  return &a == &b || (std::strcmp(a.name(), b.name()) == 0 && a.identity() == b.identity() && Params(a) == Params(b));
}
uint64_t hash_of(const Primitive& p) {
  return mixed(mixed(std::hash<std::string_view>()(p.name()), p.identity()), Params(p).hash());
}

} // namespace mlx::core
