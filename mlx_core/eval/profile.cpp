// Profile: times, bytes and fused groups of what is evaluated.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "mlx_core/debug.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

using Clock = std::chrono::steady_clock;

size_t bytes_of(const Node& node) {
  return saturating_multiply(
      static_cast<size_t>(static_cast<int64_t>(size_of(node.shape))), static_cast<size_t>(node.dtype.size()));
}

// What the pass reads from outside, once each, and what it writes. Values inside a fused group never reach memory, and
// what is joined may be in its place already.
size_t bytes_moved(std::span<Node* const> nodes) {
  std::set<const Node*> inside(nodes.begin(), nodes.end()), read;
  size_t bytes = 0;
  for (Node* node : nodes) {
    EvalKind kind = node->primitive->eval_kind();
    if (kind == EvalKind::view || kind == EvalKind::project) {
      continue;
    }
    size_t there = 0;
    bool joins = node->buffer && joined_axis(*node->primitive);
    for (const array& operand : node->operands()) {
      if (joins && operand.node()->buffer.get() == node->buffer.get()) {
        there += bytes_of(*operand.node());
      } else if (!inside.count(operand.node()) && read.insert(operand.node()).second) {
        bytes += bytes_of(*operand.node());
      }
    }
    if (node->extra && !node->extra->outputs.empty()) {
      for (const array& output : node->extra->outputs) {
        bytes += bytes_of(*output.node());
      }
    } else if (node->buffer) {
      bytes += bytes_of(*node) - there;
    }
  }
  return bytes;
}

} // namespace

struct Profile::Observer final : EvalObserver {
  struct Open {
    Clock::time_point start;
    double inside = 0;
  };
  std::vector<Open> open;
  std::vector<Event> events;
  Clock::time_point zero;
  int groups = 0;
  bool running = false;

  void before(std::span<Node* const>) override { open.push_back({Clock::now()}); }
  void failed() override {
    if (!open.empty()) {
      open.pop_back();
    }
  }
  void after(std::span<Node* const> nodes) override {
    if (open.empty()) {
      return;
    }
    std::chrono::duration<double> took = Clock::now() - open.back().start;
    std::chrono::duration<double> start = open.back().start - zero;
    Event event{{}, nodes.size() > 1 ? groups++ : -1, start.count(), took.count(), took.count() - open.back().inside,
        bytes_moved(nodes), {}, nodes.back()->origin};
    open.pop_back();
    if (!open.empty()) {
      open.back().inside += took.count();
    }
    for (Node* node : nodes) {
      if (node->primitive->eval_kind() == EvalKind::project) {
        return; // its application was counted
      }
      event.ops.push_back(node->primitive->name());
    }
    const Node* last = nodes.back();
    if (last->extra && !last->extra->outputs.empty()) {
      last = last->extra->outputs[0].node();
    }
    event.result = std::string(name_of(last->dtype)) + " " + to_string(last->shape);
    events.push_back(std::move(event));
  }
};

Profile::Profile() : observer_(new Observer) {}
Profile::~Profile() { stop(); }

void Profile::start() {
  stop();
  *observer_ = Observer();
  observer_->zero = Clock::now();
  observer_->running = true;
  add_eval_observer(observer_.get());
}
void Profile::stop() {
  if (observer_->running) {
    remove_eval_observer(observer_.get());
    observer_->running = false;
  }
}
const std::vector<Profile::Event>& Profile::events() const { return observer_->events; }

// --- as text ---

std::string Profile::Event::name() const {
  std::string text;
  for (size_t i = 0; i < ops.size();) {
    size_t same = i;
    while (same < ops.size() && ops[same] == ops[i]) {
      ++same;
    }
    text += (i ? " + " : "") + ops[i] + (same - i > 1 ? " x" + std::to_string(same - i) : "");
    i = same;
  }
  return text;
}

namespace {

struct Row {
  std::string name;
  int calls = 0;
  double seconds = 0;
  size_t bytes = 0;
  std::vector<int> groups;
  std::string place;
};

std::string groups_text(const std::vector<int>& groups) {
  std::string text;
  for (size_t i = 0; i < groups.size() && i < 3; ++i) {
    text += (i ? "," : "") + std::to_string(groups[i]);
  }
  return groups.empty() ? "-" : groups.size() > 3 ? text + ",..." : text;
}

// printf's field, for texts of any length.
std::string padded(std::string text, size_t width) {
  if (text.size() < width) {
    text.append(width - text.size(), ' ');
  }
  return text;
}
std::string number(const char* format, double value) {
  char digits[64];
  std::snprintf(digits, sizeof digits, format, value);
  return digits;
}

} // namespace

std::string Profile::table() const {
  std::map<std::string, Row> by_name;
  double total = 0;
  for (const Event& event : events()) {
    Row& row = by_name[event.name()];
    row.name = event.name();
    row.calls += 1;
    row.seconds += event.own_seconds;
    row.bytes += event.bytes;
    total += event.own_seconds;
    if (event.group >= 0) {
      row.groups.push_back(event.group);
    }
    if (row.place.empty()) {
      row.place = origin_at(event.origin).place();
    }
  }
  std::vector<Row> rows;
  size_t width = 2, place_width = 4;
  for (auto& [name, row] : by_name) {
    width = std::max(width, std::min<size_t>(name.size(), 60));
    place_width = std::max(place_width, row.place.size());
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
  std::string text = padded("op", width) + "  calls     time ms   share          bytes  group     line\n";
  for (const Row& row : rows) {
    std::string name = row.name.size() > 60 ? row.name.substr(0, 57) + "..." : row.name;
    text += padded(name, width) + number("%7.0f", row.calls) + number("%12.3f", 1e3 * row.seconds) +
            number("%7.1f%%", total > 0 ? 100 * row.seconds / total : 0) +
            number("%15.0f", static_cast<double>(row.bytes)) + "  " + padded(groups_text(row.groups), 8) + "  " +
            row.place + "\n";
  }
  return text + padded("total", width) + number("%7.0f", static_cast<double>(events().size())) +
         number("%12.3f", 1e3 * total) + "\n";
}

namespace {

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

} // namespace

std::string Profile::chrome_trace() const {
  std::string text = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
  bool first = true;
  for (const Event& event : events()) {
    const Origin& origin = origin_at(event.origin);
    text += std::string(first ? "" : ",") + "\n{\"name\": " + json_string(event.name()) +
            ", \"cat\": \"op\", \"ph\": \"X\", \"pid\": 0, \"tid\": 0, \"ts\": " + number("%.3f", 1e6 * event.start) +
            ", \"dur\": " + number("%.3f", 1e6 * event.seconds) +
            ", \"args\": {\"bytes\": " + std::to_string(event.bytes) + ", \"group\": " + std::to_string(event.group) +
            ", \"result\": " + json_string(event.result) + ", \"line\": " + json_string(origin.place()) +
            ", \"pass\": " + json_string(origin.pass.empty() ? "forward" : origin.pass) + "}}";
    first = false;
  }
  return text + "\n]}\n";
}

} // namespace mlx::core
