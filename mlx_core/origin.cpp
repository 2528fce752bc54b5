// The table of origins.
#include "mlx_core/origin.h"

#include <deque>
#include <mutex>
#include <unordered_map>

namespace mlx::core {

namespace {

struct Table {
  std::mutex mutex;
  std::deque<Origin> origins{Origin{}}; // entries stay where they are
  std::unordered_map<std::string, uint32_t> index_by_text;
};
Table& table() {
  static Table& instance = *new Table;
  return instance;
}

std::string key_of(const Origin& o) {
  std::string key = o.file + '\0' + o.function + '\0' + std::to_string(o.line) + '\0' + o.pass;
  for (const Origin::Lanes& lanes : o.lanes) {
    key += '\0' + std::to_string(lanes.count) + '@' + std::to_string(lanes.axis);
  }
  return key;
}

} // namespace

std::string Origin::place() const {
  return line ? file + ":" + std::to_string(line) + (function.empty() ? "" : " in " + function) : std::string();
}

uint32_t intern_origin(const Origin& origin) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  auto [found, added] = t.index_by_text.emplace(key_of(origin), static_cast<uint32_t>(t.origins.size()));
  if (added) {
    t.origins.push_back(origin);
  }
  return found->second;
}

const Origin& origin_at(uint32_t index) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  return t.origins.at(index);
}

size_t known_origins() {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  return t.origins.size();
}

uint32_t origin_in_pass(uint32_t index, const char* pass, int64_t lanes) {
  Origin origin = origin_at(index);
  origin.pass = origin.pass.empty() ? pass : std::string(pass) + "(" + origin.pass + ")";
  if (lanes) {
    for (Origin::Lanes& inner : origin.lanes) {
      ++inner.axis;
    }
    origin.lanes.insert(origin.lanes.begin(), {lanes, 0});
  }
  return intern_origin(origin);
}

uint32_t origin_with_lanes_along(uint32_t index, int axis) {
  Origin origin = origin_at(index);
  if (!origin.lanes.empty() && axis != origin.lanes[0].axis) {
    for (size_t i = 1; i < origin.lanes.size(); ++i) {
      origin.lanes[i].axis -= origin.lanes[i].axis <= axis;
    }
    origin.lanes[0].axis = axis;
  }
  return intern_origin(origin);
}

} // namespace mlx::core
