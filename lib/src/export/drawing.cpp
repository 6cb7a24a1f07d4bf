#include "renas/drawing.h"

#include <fmt/format.h>
#include <graphviz/gvc.h>

#include <memory>
#include <regex>
#include <set>

#include "renas/error.h"
#include "renas/model.h"

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

std::string node_of(const std::string& input) {
  return input.starts_with("c-") ? fmt::format("input_{}", input.substr(2))
                                 : fmt::format("block_{}", input);
}

/// The cell in Graphviz's language.
std::string dot_of(const SearchSpace& space, const Genome& genome) {
  std::string text =
      "digraph { rankdir=TB; nodesep=0.12; ranksep=0.22; bgcolor=transparent;\n"
      "node [fontname=\"sans-serif\", fontsize=11, height=0.3, width=0.3, margin=\"0.09,0.04\"];\n"
      "edge [arrowsize=0.5];\n"
      "input_2 [label=\"c-2\", shape=box, style=rounded, class=input];\n"
      "input_1 [label=\"c-1\", shape=box, style=rounded, class=input];\n"
      "{ rank=source; input_2; input_1 }\n";
  std::set<std::string> used;
  for (int b = 0; b < space.block_count(); ++b) {
    const auto choice = [&](int slot) {
      const int i = space.first_slot(b) + slot;
      return space.slot(i).choices[static_cast<std::size_t>(genome[static_cast<std::size_t>(i)])];
    };
    text +=
        fmt::format("block_{0} [label=\"{0}\", shape=circle, margin=0.02, class=sum];\n", b + 1);
    for (int half = 0; half < 2; ++half) {
      const std::string input = choice(half);
      const std::string op = choice(2 + half);
      used.insert(input);
      text += fmt::format(
          "op_{0}_{1} [label=\"{2}\", shape=box, style=rounded, class={3}];\n"
          "{4} -> op_{0}_{1} [arrowhead=none]; op_{0}_{1} -> block_{0};\n",
          b + 1, half + 1, operator_label(op), operator_class(op), node_of(input));
    }
  }
  text += "output [label=\"concatenation\", shape=box, style=rounded, class=output];\n";
  for (int b = 1; b <= space.block_count(); ++b) {
    if (!used.contains(std::to_string(b))) text += fmt::format("block_{} -> output;\n", b);
  }
  return text + "{ rank=sink; output }\n}\n";
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
  const SearchSpace space = space_of(genome);
  std::string svg = layout(dot_of(space, parse_genome(space, genome)));
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
