// renas-inspect shows what a genome costs, what a run found and what a model is.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/frame.h"
#include "cli/options.h"
#include "cli/search_settings.h"
#include "deeplab.h"
#include "renas/architecture.h"
#include "renas/controller.h"
#include "renas/drawing.h"
#include "renas/error.h"
#include "renas/model.h"
#include "renas/run_directory.h"
#include "renas/run_view.h"
#include "renas/search_run.h"
#include "renas/zoo.h"
#include "watch_run.h"

using namespace renas;
using Json = nlohmann::ordered_json;

namespace {

struct GenomeSettings {
  std::string genome;
  std::string image = "32x32x3";
  NetworkOptions network;
  bool json = false;
  bool svg = false;
};

int draw_genome(const std::string& genome) {
#ifdef RENAS_WITH_GRAPHVIZ
  fmt::print("{}", draw_cell(genome, true));
  return cli::kDone;
#else
  (void)genome;
  throw Unsupported(
      "this build draws no cells: install Graphviz (Debian: libgraphviz-dev) and configure it with "
      "-DRENAS_WITH_GRAPHVIZ=ON");
#endif
}

int inspect_genome(GenomeSettings& s) {
  if (s.svg) return draw_genome(s.genome);
  s.network.image = parse_shape(s.image);
  const Counts counts = count(build_network(s.genome, s.network));
  const std::string text = zoo_text(s.genome);
  if (names_family(text) || is_zoo_name(text)) {
    if (s.json) {
      fmt::print(
          "{}\n",
          Json{{"genome", text}, {"parameters", counts.parameters}, {"mult_adds", counts.mult_adds}}
              .dump(2));
    } else {
      fmt::print("genome      {}\nparameters  {}\nmult_adds   {}\n", text, counts.parameters,
                 counts.mult_adds);
    }
    return cli::kDone;
  }
  const SearchSpace space = space_of(text);
  const Genome genome = parse_genome(space, text);
  if (s.json) {
    fmt::print("{}\n", Json{{"genome", to_string(space, genome)},
                            {"canonical", to_string(space, canonical(space, genome))},
                            {"parameters", counts.parameters},
                            {"mult_adds", counts.mult_adds}}
                           .dump(2));
    return cli::kDone;
  }
  fmt::print("genome      {}\ncanonical   {}\nparameters  {}\nmult_adds   {}\n",
             to_string(space, genome), to_string(space, canonical(space, genome)),
             counts.parameters, counts.mult_adds);
  return cli::kDone;
}

/// Prints the paper's tables 1 and 2: sizes as printed there and as counted here.
int inspect_zoo(bool json) {
  Json array = Json::array();
  int table = -1;
  for (const ZooRow& row : zoo_rows()) {
    std::optional<Counts> counts;
    if (!row.genome.empty()) counts = count(build_network(row.genome, row.network));
    if (json) {
      const auto printed = [](const std::optional<double>& millions) {
        return millions ? Json(*millions * 1e6) : Json();
      };
      array.push_back({{"name", row.title},
                       {"table", row.table == 0 ? Json() : Json(row.table)},
                       {"genome", row.genome.empty() ? Json() : Json(row.genome)},
                       {"network", to_string(row.network.kind)},
                       {"cells", row.network.cells},
                       {"filters", row.network.filters},
                       {"parameters", counts ? Json(counts->parameters) : Json()},
                       {"mult_adds", counts ? Json(counts->mult_adds) : Json()},
                       {"printed_parameters", printed(row.printed_parameters)},
                       {"printed_mult_adds", printed(row.printed_mult_adds)},
                       {"note", row.note}});
      continue;
    }
    if (row.table != table) {
      table = row.table;
      fmt::print("{}\n{:<34} {:>10} {:>12} {:>10} {:>14}\n",
                 table == 1   ? "Table 1: CIFAR-10, 32x32, 10 classes"
                 : table == 2 ? "\nTable 2: ImageNet, 224x224, 1000 classes"
                              : "\nFor scale",
                 "network", "printed", "parameters", "printed", "mult-adds");
    }
    const auto printed = [](const std::optional<double>& millions) {
      return millions ? fmt::format("{} M", *millions) : std::string("-");
    };
    fmt::print("{:<34} {:>10} {:>12} {:>10} {:>14}{}\n", row.title, printed(row.printed_parameters),
               counts ? fmt::format("{}", counts->parameters) : "-", printed(row.printed_mult_adds),
               counts ? fmt::format("{}", counts->mult_adds) : "-",
               row.note.empty() ? "" : "  " + row.note);
  }
  if (json) fmt::print("{}\n", array.dump(2));
  return cli::kDone;
}

struct RunSettings {
  std::string folder;
  bool json = false;
  bool pareto = false;
};

/// Prints the Pareto fronts of everything that was evaluated.
int inspect_pareto(const std::vector<HistoryEntry>& history, bool json) {
  Json fronts;
  for (const auto& [name, size] : {std::pair{"parameters", &HistoryEntry::parameters},
                                   std::pair{"mult_adds", &HistoryEntry::mult_adds}}) {
    Json front = Json::array();
    if (!json) fmt::print("fitness against {}, smallest first\n", name);
    for (const HistoryEntry* e : pareto_front(history, size)) {
      front.push_back(Json::parse(to_json(*e)));
      if (json) continue;
      fmt::print("{:>6} {:>7.2f} % {:>11} parameters {:>13} mult-adds  {}\n", e->id,
                 100 * e->fitness, e->parameters, e->mult_adds, e->genome);
    }
    fronts[name] = front;
    if (!json) fmt::print("\n");
  }
  if (json) fmt::print("{}\n", fronts.dump(2));
  return cli::kDone;
}

/// How a run judges its cells, as its last snapshot says.
struct Judgement {
  std::map<uint64_t, double> effects;  ///< of members, by id; empty where they are the fitness
  std::optional<uint64_t> best;        ///< the strategy's best candidate
  std::string best_by = "fitness";     ///< what it is the best by
};

/// By fitness, after a warning, where options or snapshot cannot be read: the history can be shown.
Judgement judgement_of(const RunDirectory& run) try {
  Judgement judgement;
  const SearchRunOptions options = cli::run_options(cli::stored_settings(run.path()));
  const auto snapshot = run.load_snapshot();
  if (!snapshot || options.make_strategy) return judgement;
  const auto strategy = make_strategy(space_of(options), cli::strategy_to_read(options));
  strategy->load(snapshot->strategy);
  const std::vector<Member>& members = strategy->population();
  // They differ from the fitness once a result inherited weights.
  if (std::any_of(members.begin(), members.end(),
                  [](const Member& member) { return member.effect != member.fitness; })) {
    for (const Member& member : members) judgement.effects[member.id] = member.effect;
  }
  if (const auto best = strategy->best()) judgement.best = best->id;
  if (!judgement.effects.empty()) {
    judgement.best_by = "effect";
  } else if (finalists_by_mean(options.strategy) && !options.weigh_parameters) {
    judgement.best_by = "posterior mean";
  }
  return judgement;
} catch (const Error& error) {
  cli::say(fmt::format("warning: {}; cells are shown by fitness\n", error.what()));
  return {};
}

int inspect_run(const RunSettings& s) {
  const RunDirectory run = RunDirectory::open(s.folder);
  const History whole = run.read_history();
  const std::vector<HistoryEntry>& history = whole.entries;
  for (const std::string& repair : whole.repairs) {
    cli::say(fmt::format("warning: {}/history.jsonl: {}\n", s.folder, repair));
  }
  for (const uint64_t line : whole.missing) {
    cli::say(
        fmt::format("warning: {}/history.jsonl:{}: the line is lost or damaged; its result is "
                    "not counted\n",
                    s.folder, line + 1));
  }
  if (s.pareto) return inspect_pareto(history, s.json);
  std::map<uint64_t, const HistoryEntry*> by_id;
  std::map<std::string, int> statuses;
  const HistoryEntry* best = best_of(history);
  double inherited = 0;
  int children = 0;
  for (const HistoryEntry& e : history) {
    by_id[e.id] = &e;
    ++statuses[to_string(e.status)];
    if (e.status != Status::kOk) continue;
    if (e.parent) {
      inherited += e.inherited;
      ++children;
    }
  }
  const Judgement judgement = judgement_of(run);
  const bool by_effect = !judgement.effects.empty();
  if (judgement.best && by_id.contains(*judgement.best)) best = by_id.at(*judgement.best);
  const auto effect_of = [&](const HistoryEntry& e) {
    const auto at = judgement.effects.find(e.id);  // what joined after the snapshot is not there
    return at == judgement.effects.end() ? e.fitness : at->second;
  };
  std::vector<const HistoryEntry*> members = living(history);
  std::stable_sort(members.begin(), members.end(),
                   [&](const auto* a, const auto* b) { return effect_of(*a) > effect_of(*b); });
  std::vector<const HistoryEntry*> lineage;
  if (best != nullptr) lineage = lineage_of(history, *best);
  const double share = children == 0 ? 0 : inherited / children;

  const std::optional<RunResult> result = run.load_result();

  if (s.json) {
    const auto entries = [](const std::vector<const HistoryEntry*>& list) {
      Json array = Json::array();
      for (const HistoryEntry* e : list) array.push_back(Json::parse(to_json(*e)));
      return array;
    };
    Json judged = Json::object();
    for (const auto& [id, effect] : judgement.effects) judged[std::to_string(id)] = effect;
    fmt::print("{}\n", Json{{"results", history.size()},
                            {"statuses", statuses},
                            {"judge", by_effect ? "effect" : "fitness"},
                            {"effects", judged},
                            {"inherited_share", share},
                            {"best_by", judgement.best_by},
                            {"best", best == nullptr ? Json() : Json::parse(to_json(*best))},
                            {"lineage", entries(lineage)},
                            {"population", entries(members)},
                            {"result", result ? Json::parse(to_json(*result)) : Json()}}
                           .dump(2));
    return cli::kDone;
  }
  fmt::print("{}: {} results", run.path(), history.size());
  for (const auto& [status, number] : statuses) fmt::print(", {} {}", number, status);
  fmt::print("\n\npopulation, best first by {}\n{:>6}{} {:>9} {:>11} {:>13} {:>10}  genome\n",
             by_effect ? "effect" : "fitness", "id",
             by_effect ? fmt::format(" {:>9}", "effect") : "", "fitness", "parameters", "mult_adds",
             "inherited");
  for (const HistoryEntry* e : members) {
    fmt::print("{:>6}{} {:>7.2f} % {:>11} {:>13} {:>8.1f} %  {}\n", e->id,
               by_effect ? fmt::format(" {:>7.2f} %", 100 * effect_of(*e)) : "", 100 * e->fitness,
               e->parameters, e->mult_adds, 100 * e->inherited, e->genome);
  }
  if (best == nullptr) return cli::kDone;
  fmt::print("\nlineage of the best by {} ({})\n", judgement.best_by, best->id);
  for (const HistoryEntry* e : lineage) {
    fmt::print("{:>6} {:>7.2f} %  {}\n", e->id, 100 * e->fitness,
               e->parent && by_id.contains(*e->parent)
                   ? mutation_text(by_id.at(*e->parent)->genome, e->genome)
                   : e->genome);
  }
  fmt::print(
      "\nbest       {}\ninherited  {:.1f} % of a child's numbers, in the mean over {} children\n",
      best->genome, 100 * share, children);
  if (!result) return cli::kDone;
  fmt::print("\nretrained from scratch\n");
  for (const RetrainedNetwork& n : result->networks) {
    fmt::print("{:>10} {:>7.2f} % on D_val{}  {}{}\n", n.name, 100 * n.validation_accuracy,
               n.test_accuracy ? fmt::format(" {:>7.2f} % on test", 100 * *n.test_accuracy) : "",
               n.genome, n.name == result->winner ? "  (winner)" : "");
  }
  return cli::kDone;
}

/// Formats a distribution as choices with percentages, the likeliest first.
std::string distribution_text(const std::vector<std::string>& names,
                              const std::vector<double>& probabilities) {
  std::vector<std::size_t> order(names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return probabilities[a] > probabilities[b];
  });
  std::string text;
  for (const std::size_t i : order) {
    text +=
        fmt::format("{}{} {:.0f} %", text.empty() ? "" : "  ", names[i], 100 * probabilities[i]);
  }
  return text;
}

/// Prints what the controller of a run has learnt.
int inspect_controller(const RunSettings& s) {
  const RunDirectory run = RunDirectory::open(s.folder);
  const SearchRunOptions options = cli::run_options(cli::stored_settings(s.folder));
  const auto snapshot = run.load_snapshot();
  if (!snapshot) {
    throw InvalidInput(fmt::format("{}: has no snapshot (search.h5) yet", s.folder));
  }
  const SearchSpace space = space_of(options);
  const ControllerView view =
      view_controller(space, cli::strategy_to_read(options), snapshot->strategy);
  if (s.json) {
    fmt::print("{}\n", Json{{"router", view.router},
                            {"choices", view.choices},
                            {"entropy", view.entropy},
                            {"largest_entropy", view.largest_entropy}}
                           .dump(2));
    return cli::kDone;
  }
  fmt::print("what the router changes, and to what (means over the population)\n");
  for (int b = 0; b < space.block_count(); ++b) {
    for (int i = space.first_slot(b); i < space.first_slot(b + 1); ++i) {
      fmt::print("{}block {}  {}  {:>3.0f} %   {}\n", space.cell_prefix(b), space.number_of(b),
                 space.slot(i).name, 100 * view.router[b][i - space.first_slot(b)],
                 distribution_text(space.slot(i).choices, view.choices[i]));
    }
  }
  fmt::print(
      "\nentropy of a child's decisions along the path they took, in nats (a uniform policy: "
      "{:.2f} in the mean)\n",
      view.largest_entropy);
  const std::size_t step = std::max<std::size_t>(1, view.entropy.size() / 10);
  for (std::size_t from = 0; from < view.entropy.size(); from += step) {
    const std::size_t to = std::min(view.entropy.size(), from + step);
    double mean = 0;
    for (std::size_t i = from; i < to; ++i) {
      mean += view.entropy[i] / static_cast<double>(to - from);
    }
    fmt::print("children {:>5} to {:>5}  {:.3f}\n", from + 1, to, mean);
  }
  return cli::kDone;
}

int inspect_model(const std::string& path, bool genome_only) {
  const Model m = load_model(path);
  if (genome_only) {
    fmt::print("{}\n", m.genome);
    return cli::kDone;
  }
  const Counts counts = count(graph_of(m));
  fmt::print(
      "genome      {}\nnetwork     {}, N = {}, F = {}, {} classes, images {}\n"
      "parameters  {}\nmult_adds   {}\n",
      m.genome, to_string(m.network.kind), m.network.cells, m.network.filters, m.network.classes,
      to_string(m.network.image), counts.parameters, counts.mult_adds);
  if (m.validation_accuracy > 0) {  // else nothing was held out
    fmt::print("validation  {:.2f} %{}\n", 100 * m.validation_accuracy,
               m.validation_balanced_accuracy
                   ? fmt::format(", balanced {:.2f} %", 100 * *m.validation_balanced_accuracy)
                   : "");
  }
  return cli::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Looks at genomes, runs and models.", "renas-inspect");
  cli::prepare(app);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  renas-inspect genome renasnet --cells 6 --filters 32 --svg > cell.svg\n"
      "  renas-inspect run runs/first --pareto\n"
      "  renas-inspect model runs/first/best.h5 --genome");

  GenomeSettings genome;
  CLI::App* g = app.add_subcommand("genome", "Size and cost of a genome's network");
  g->option_defaults()->always_capture_default();
  g->add_option("genome", genome.genome,
                "A name (see zoo), a cell in the paper's notation, or FAMILY/NORMAL/REDUCTION")
      ->required();
  cli::add_network_options(*g, genome.network);
  g->add_option("--image", genome.image, "Size of images, HxWxC");
  g->add_option("--classes", genome.network.classes, "Classes to tell apart")
      ->check(CLI::Range(2, 1000000));
  g->add_flag("--json", genome.json, "Print JSON");
  g->add_flag("--svg", genome.svg, "Print a drawing of the cell as SVG");

  bool zoo_json = false;
  CLI::App* z = app.add_subcommand(
      "zoo", "Published networks: sizes as the paper's tables 1 and 2 print them and as counted");
  z->add_flag("--json", zoo_json, "Print JSON: a list of objects");

  RunSettings run;
  CLI::App* r = app.add_subcommand("run", "Population, best, its lineage, share of inheritance");
  r->add_option("run", run.folder, "Folder of a run")->required();
  r->add_flag("--json", run.json, "Print JSON");
  r->add_flag("--pareto", run.pareto,
              "Only the results that none is as good as with a smaller network: fitness against "
              "parameters and against mult-adds");
  bool watch = false;
  CLI::Option* w = r->add_flag("--watch", watch, "Show live how the run stands, until its end");
  double every = 2;
  r->add_option("--every", every, "Seconds between two looks of --watch")
      ->needs(w)
      ->check(CLI::PositiveNumber);

  RunSettings controller;
  CLI::App* c = app.add_subcommand("controller", "What the controller of a run has learnt");
  c->add_option("run", controller.folder, "Folder of a run")->required();
  c->add_flag("--json", controller.json, "Print JSON");

  std::string model;
  CLI::App* m = app.add_subcommand("model", "What is in a model file");
  m->add_option("model", model, "HDF5 file that renas-search or renas-train wrote")->required();
  bool genome_only = false;
  m->add_flag("--genome", genome_only, "Print the genome alone");

#ifdef RENAS_WITH_IMAGES
  cli::SegmentSettings segment;
  segment.device.threads = 0;
  CLI::App* s = app.add_subcommand(
      "segment",
      "What a model of --network deeplab sees: NAME-picture.png, NAME-mask.png in the palette of "
      "PASCAL VOC, NAME-overlay.png. As in: renas-inspect segment best.h5 *.jpg --out seen");
  s->add_option("model", segment.model, "Model that renas-train wrote")->required();
  s->add_option("pictures", segment.pictures, "JPEG and PNG files")->required();
  s->add_option("--out", segment.folder, "Folder to write to; it is made if need be")->required();
  s->add_flag("--force", segment.force, "Replace files that exist");
  s->add_flag("--as-stored", segment.as_stored,
              "Do not turn pictures as their EXIF orientation says; for models whose data were "
              "prepared with --as-stored");
  cli::add_device_options(*s, segment.device);
#endif

  return cli::run(app, argc, argv, [&] {
#ifdef RENAS_WITH_IMAGES
    if (s->parsed()) return cli::segment_pictures(segment);
#endif
    if (g->parsed()) return inspect_genome(genome);
    if (watch) return watch_run(run.folder, every);
    if (z->parsed()) return inspect_zoo(zoo_json);
    if (r->parsed()) return inspect_run(run);
    if (c->parsed()) return inspect_controller(controller);
    return inspect_model(model, genome_only);
  });
}
