#include "renas/drawing.h"

#include <fmt/format.h>
#include <graphviz/gvc.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "renas/architecture.h"
#include "renas/error.h"
#include "renas/zoo.h"

namespace renas {
namespace {

constexpr const char* kStyle =
    "<style>"
    ".cell text{fill:#1d2430;font-family:sans-serif}"
    ".cell .edge path{stroke:#8792a2}.cell .edge polygon{fill:#8792a2;stroke:#8792a2}"
    ".cell .node path,.cell .node polygon,.cell .node ellipse{fill:#fff;stroke:#8792a2}"
    ".cell .separable path{fill:#dbe8ff;stroke:#2f6fd6}.cell .pool "
    "path{fill:#ffe8cf;stroke:#c2701c}"
    ".cell .identity path{fill:#e2f3e4;stroke:#3c8f4b}"
    "</style>";

std::string operator_class(const std::string& name) {
  if (name.starts_with("avg") || name.starts_with("max")) return "pool";
  return name == "identity" ? "identity" : "separable";
}

/// "sep5x5" as "sep 5×5".
std::string operator_label(const std::string& name) {
  static const std::regex form("([a-z]+)([0-9])x([0-9])");
  return std::regex_replace(name, form, "$1 $2×$3");
}

std::string node_of(const std::string& cell, const std::string& input) {
  return cell + (input.starts_with("c-") ? "input_" + input.substr(2) : "block_" + input);
}

/// A cell in Graphviz's language; its nodes' names begin with `prefix`.
std::string dot_of(const Cell& cell, const std::string& prefix) {
  std::string text = fmt::format(
      "{0}input_2 [label=\"c-2\", shape=box, style=rounded, class=input];\n"
      "{0}input_1 [label=\"c-1\", shape=box, style=rounded, class=input];\n"
      "{{ rank=source; {0}input_2; {0}input_1 }}\n",
      prefix);
  std::set<std::string> used;
  std::vector<std::string> blocks;
  for (const CellBlock& block : cell.blocks) {
    blocks.push_back(std::to_string(blocks.size() + 1));
    text += fmt::format("{0}block_{1} [label=\"{1}\", shape=circle, margin=0.02, class=sum];\n",
                        prefix, blocks.back());
    for (std::size_t half = 0; half < 2; ++half) {
      const std::string& op = block.operators[half];
      used.insert(block.inputs[half]);
      text += fmt::format(
          "{5}op_{0}_{1} [label=\"{2}\", shape=box, style=rounded, class={3}];\n"
          "{4} -> {5}op_{0}_{1} [arrowhead=none]; {5}op_{0}_{1} -> {5}block_{0};\n",
          blocks.back(), half + 1, operator_label(op), operator_class(op),
          node_of(prefix, block.inputs[half]), prefix);
    }
  }
  std::vector<std::string> outputs = cell.outputs;
  if (outputs.empty()) {
    std::copy_if(blocks.begin(), blocks.end(), std::back_inserter(outputs),
                 [&](const std::string& block) { return !used.contains(block); });
  }
  text += fmt::format(
      "{}output [label=\"concatenation\", shape=box, style=rounded, class=output];\n", prefix);
  for (const std::string& output : outputs) {
    text += fmt::format("{} -> {}output;\n", node_of(prefix, output), prefix);
  }
  return text + fmt::format("{{ rank=sink; {}output }}\n", prefix);
}

/// One cell, or two beside each other where they differ, in Graphviz's language.
std::string dot_of(const Architecture& architecture) {
  const std::string begin =
      "digraph { rankdir=TB; nodesep=0.12; ranksep=0.22; bgcolor=transparent;\n"
      "node [fontname=\"sans-serif\", fontsize=11, height=0.3, width=0.3, margin=\"0.09,0.04\"];\n"
      "edge [arrowsize=0.5];\n";
  if (architecture.normal == architecture.reduction) {
    return begin + dot_of(architecture.normal, "") + "}\n";
  }
  const auto framed = [](const Cell& cell, const std::string& name) {
    return fmt::format(
        "subgraph cluster_{0} {{ label=\"{0} cell\"; fontname=\"sans-serif\"; fontsize=11; "
        "color=transparent;\n{1}}}\n",
        name, dot_of(cell, name + "_"));
  };
  return begin + framed(architecture.normal, "normal") +
         framed(architecture.reduction, "reduction") + "}\n";
}

std::string layout(const std::string& dot) {
  const std::unique_ptr<GVC_t, int (*)(GVC_t*)> context(gvContext(), gvFreeContext);
  const std::unique_ptr<Agraph_t, int (*)(Agraph_t*)> graph(agmemread(dot.c_str()), agclose);
  if (!context || !graph || gvLayout(context.get(), graph.get(), "dot") != 0) {
    throw Error("Graphviz cannot lay out the cell: is its plugin for `dot` installed?");
  }
  char* data = nullptr;
  unsigned size = 0;
  const int failed = gvRenderData(context.get(), graph.get(), "svg", &data, &size);
  std::string svg = failed == 0 && data != nullptr ? std::string(data, size) : std::string();
  gvFreeRenderData(data);
  gvFreeLayout(context.get(), graph.get());
  if (svg.find("<svg") == std::string::npos) throw Error("Graphviz has drawn nothing");
  return svg;
}

}  // namespace

std::string draw_cell(const std::string& genome, bool standalone) {
  const std::string text = zoo_text(genome);
  if (is_zoo_name(text)) {
    throw InvalidInput(fmt::format("{}: is not made of cells, which could be drawn", text));
  }
  std::string svg = layout(dot_of(parse_architecture(text)));
  svg.erase(0, svg.find("<svg"));
  // Names that Graphviz gives would stand on a page several times; its comments and titles say
  // nothing.
  static const std::regex names("<!--[^>]*-->\n?| id=\"[^\"]*\"|<title>[^<]*</title>\n?");
  svg = std::regex_replace(svg, names, "");
  svg.insert(4, " class=\"cell\"");
  if (standalone) svg.insert(svg.find('>') + 1, kStyle);
  return svg;
}

}  // namespace renas
