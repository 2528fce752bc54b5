// Graph: drawing it, as Graphviz text and as an SVG picture laid out in layers.
#include <algorithm>
#include <cstdio>
#include <numeric>

#include "mlx_core/graph.h"
#include "mlx_core/origin.h"

namespace mlx::core {

namespace {

using Kind = Graph::Node::Kind;

std::string escaped_for_xml(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string escaped_for_dot(const std::string& text) {
  std::string out;
  for (char c : text) {
    out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return out;
}

std::string title(const Graph::Node& node) {
  std::string what = node.kind == Kind::constant && !node.value.empty() ? node.value : node.name;
  return node.label.empty() ? what : node.kind == Kind::op ? node.label + " = " + what : node.label;
}

std::string results_text(const Graph::Node& node) {
  std::string text;
  for (const Spec& spec : node.results) {
    text += (text.empty() ? "" : ", ") + std::string(name_of(spec.dtype)) + " " + to_string(spec.shape);
  }
  return text;
}

std::string shortened(const std::string& text, size_t most) {
  return text.size() <= most ? text : text.substr(0, most - 3) + "...";
}

// The layered drawing of Sugiyama, Tagawa and Toda (1981): layers by longest path, order within a layer by the mean
// place of the neighbours, swept down and up.
struct Layout {
  std::vector<std::vector<int>> layers;
  std::vector<int> layer;    // of each node
  std::vector<double> place; // of each node within its layer, centred at 0

  explicit Layout(const Graph& graph) : layer(graph.nodes().size(), 0), place(graph.nodes().size(), 0) {
    const auto& nodes = graph.nodes();
    std::vector<std::vector<int>> users(nodes.size()), operands(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (Graph::Value v : nodes[i].operands) {
        layer[i] = std::max(layer[i], layer[static_cast<size_t>(v.node)] + 1);
        users[static_cast<size_t>(v.node)].push_back(static_cast<int>(i));
        operands[i].push_back(v.node);
      }
    }
    for (size_t i = 0; i < nodes.size(); ++i) { // constants sit just above what uses them
      if (nodes[i].kind == Kind::constant && !users[i].empty()) {
        int above = layer[static_cast<size_t>(users[i][0])];
        for (int user : users[i]) {
          above = std::min(above, layer[static_cast<size_t>(user)]);
        }
        layer[i] = above - 1;
      }
    }
    layers.resize(nodes.empty() ? 0 : static_cast<size_t>(*std::max_element(layer.begin(), layer.end())) + 1);
    for (size_t i = 0; i < nodes.size(); ++i) {
      layers[static_cast<size_t>(layer[i])].push_back(static_cast<int>(i));
    }
    number_places();
    for (int sweep = 0; sweep < 4; ++sweep) {
      for (size_t k = 0; k < layers.size(); ++k) {
        size_t at = sweep % 2 ? layers.size() - 1 - k : k;
        sort_by_neighbours(layers[at], sweep % 2 ? users : operands);
      }
    }
  }

 private:
  void number_places() {
    for (std::vector<int>& one : layers) {
      number_places(one);
    }
  }
  void number_places(const std::vector<int>& one) {
    for (size_t k = 0; k < one.size(); ++k) {
      place[static_cast<size_t>(one[k])] = static_cast<double>(k) - static_cast<double>(one.size() - 1) / 2;
    }
  }
  void sort_by_neighbours(std::vector<int>& one, const std::vector<std::vector<int>>& neighbours) {
    std::vector<std::pair<double, int>> keyed;
    for (int node : one) {
      const std::vector<int>& near = neighbours[static_cast<size_t>(node)];
      double sum = std::accumulate(
          near.begin(), near.end(), 0.0, [&](double s, int other) { return s + place[static_cast<size_t>(other)]; });
      keyed.emplace_back(
          near.empty() ? place[static_cast<size_t>(node)] : sum / static_cast<double>(near.size()), node);
    }
    std::stable_sort(keyed.begin(), keyed.end(), [](auto& a, auto& b) { return a.first < b.first; });
    std::transform(keyed.begin(), keyed.end(), one.begin(), [](auto& k) { return k.second; });
    number_places(one);
  }
};

constexpr double box_width = 170, box_height = 40, column = 190, row = 74;

std::string box(const Graph& graph, size_t i, double x, double y) {
  const Graph::Node& node = graph.nodes()[i];
  const char* fill = node.kind == Kind::op ? "#e8f0fe" : node.kind == Kind::input ? "#e6f4ea" : "#f1f3f4";
  char head[256];
  std::snprintf(head, sizeof head,
      "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"5\" fill=\"%s\" stroke=\"#5f6368\"/>",
      x - box_width / 2, y, box_width, box_height, fill);
  auto text = [&](double dy, const char* style, const std::string& words) {
    char at[160];
    std::snprintf(at, sizeof at, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\" %s>", x, y + dy, style);
    return at + escaped_for_xml(shortened(words, 26)) + "</text>";
  };
  return "<g><title>" + escaped_for_xml(graph.line(i)) + "</title>" + head +
         text(16, "font-weight=\"bold\" fill=\"#202124\"", title(node)) +
         text(32, "font-size=\"10\" fill=\"#5f6368\"", results_text(node)) + "</g>\n";
}

} // namespace

std::string Graph::to_dot() const {
  std::string text = "digraph {\n  node [fontname=\"sans-serif\", fontsize=11];\n";
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    std::string params = node.params.empty() ? "" : "\\n" + escaped_for_dot(node.params);
    const Origin& origin = origin_at(node.origin);
    text += "  n" + std::to_string(i) + " [label=\"" + escaped_for_dot(title(node)) + params + "\\n" +
            escaped_for_dot(results_text(node)) + "\"" + (node.kind == Kind::op ? ", shape=box" : "") +
            (origin.line ? ", tooltip=\"" + escaped_for_dot(origin.place()) + "\"" : "") + "];\n";
    for (Value operand : node.operands) {
      text += "  n" + std::to_string(operand.node) + " -> n" + std::to_string(i) + ";\n";
    }
  }
  for (size_t k = 0; k < outputs_.size(); ++k) {
    std::string name = "out" + std::to_string(k);
    text += "  " + name + " [label=\"output " + std::to_string(k) + "\", shape=plaintext];\n";
    text += "  n" + std::to_string(outputs_[k].node) + " -> " + name + ";\n";
  }
  return text + "}\n";
}

std::string Graph::to_svg() const {
  Layout layout(*this);
  size_t widest = 1;
  for (const std::vector<int>& one : layout.layers) {
    widest = std::max(widest, one.size());
  }
  double width = column * static_cast<double>(widest) + 20;
  double height = row * static_cast<double>(layout.layers.size()) + 40;
  auto x = [&](size_t node) { return width / 2 + column * layout.place[node]; };
  auto y = [&](size_t node) { return 10 + row * layout.layer[node]; };
  char line[256];
  std::snprintf(line, sizeof line,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n",
      width, height, width, height);
  std::string text = line;
  auto edge = [&](double x0, double y0, double x1, double y1) {
    std::snprintf(line, sizeof line,
        "<path d=\"M%.0f %.0f C%.0f %.0f %.0f %.0f %.0f %.0f\" fill=\"none\" stroke=\"#9aa0a6\"/>\n", x0, y0, x0,
        y0 + 18, x1, y1 - 18, x1, y1);
    text += line;
  };
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (Value operand : nodes_[i].operands) {
      size_t from = static_cast<size_t>(operand.node);
      edge(x(from), y(from) + box_height, x(i), y(i));
    }
  }
  for (Value output : outputs_) { // a short line leads out of each
    size_t from = static_cast<size_t>(output.node);
    edge(x(from), y(from) + box_height, x(from), y(from) + row - 12);
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    text += box(*this, i, x(i), y(i));
  }
  return text + "</svg>\n";
}

} // namespace mlx::core
