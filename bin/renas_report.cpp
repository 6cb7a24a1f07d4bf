// renas-report writes a page about a run, or about several beside each other.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/frame.h"
#include "cli/search_settings.h"
#include "renas/dataset.h"
#include "renas/error.h"
#include "renas/report.h"

namespace fs = std::filesystem;
using namespace renas;

namespace {

constexpr const char* kDescription =
    "Writes a page about a run, finished or not: its cells, its results, how the search went, what "
    "it\n"
    "cost, and how to repeat it. With several runs, their curves beside each other. The page is "
    "one\n"
    "HTML file that needs neither network nor scripts.";

constexpr const char* kFooter =
    "Examples:\n"
    "  renas-report runs/first                          writes runs/first/report.html\n"
    "  renas-report runs/first first.html --force\n"
    "  renas-report runs/renas runs/evolution both.html";

struct Settings {
  std::vector<std::string> arguments;
  bool force = false;
};

/// The number of images in the test set and in D_val, where the data set is still there.
void count_images(const SearchRunOptions& options, RunRecord& record) {
  try {
    if (DataSet::has_split(options.data, "test")) {
      record.test_images = DataSet::open(options.data, "test", 0).size();
    }
    const std::string held = options.validation_group.empty() ? "train" : options.validation_group;
    const int64_t size = DataSet::open(options.data, held, 0).size();
    record.validation_images = options.validation > 0             ? options.validation
                               : options.validation_group.empty() ? default_validation_count(size)
                                                                  : size;
  } catch (const Error&) {
    record.test_images = record.validation_images = 0;  // the page says so
  }
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

RunRecord record_of(const std::string& folder) {
  const RunDirectory run = RunDirectory::open(folder);
  const cli::SearchSettings settings = cli::stored_settings(folder);
  const SearchRunOptions options = cli::run_options(settings);
  RunRecord record;
  record.name = fs::absolute(folder).lexically_normal().filename().string();
  if (record.name.empty()) record.name = fs::absolute(folder).parent_path().filename().string();
  History history = run.read_history();
  record.history = std::move(history.entries);
  record.missing_lines = history.missing.size();
  record.result = run.load_result();
  record.end = run.search_over();
  record.strategy = options.strategy.name;
  record.seed = options.strategy.seed;
  record.budget =
      static_cast<uint64_t>(options.strategy.population) + static_cast<uint64_t>(options.children);
  record.balanced = options.child.fitness == Fitness::kBalancedAccuracy;
  record.data = options.data;
  record.data_identity = first_line(run.data().value_or(""));
  count_images(options, record);
  record.space = space_of(options);
  if (const auto snapshot = run.load_snapshot()) {
    try {
      record.controller =
          view_controller(record.space, cli::strategy_to_read(options), snapshot->strategy);
    } catch (const InvalidInput&) {
      // The strategy has no controller.
    }
  }
  int ranks = 1;
  for (const HistoryEntry& e : record.history) ranks = std::max(ranks, e.rank + 1);
  record.command = cli::command_of_run(folder, ranks);
  record.options = cli::options_of_run(folder);
  return record;
}

bool is_page(const std::string& path) { return path.ends_with(".html") || path.ends_with(".htm"); }

int report(const Settings& s) {
  std::vector<std::string> folders = s.arguments;
  std::string page;
  if (is_page(folders.back())) {
    page = folders.back();
    folders.pop_back();
  }
  if (folders.empty()) throw InvalidInput("expected the folder of a run");
  std::vector<RunRecord> runs;
  for (const std::string& folder : folders) {
    runs.push_back(record_of(folder));
    if (runs.back().history.empty()) {
      throw InvalidInput(fmt::format(
          "{}: the run has no results yet; ask again when a network has come back", folder));
    }
  }
  const bool own = page.empty();
  if (own && folders.size() > 1) {
    throw InvalidInput("several runs: name the page to write as the last argument, OUT.html");
  }
  if (own) page = folders.front() + "/report.html";
  if (!own && !s.force && fs::exists(page)) {
    throw InvalidInput(fmt::format("{}: exists; --force replaces it", page));
  }
  write_report(page, runs);
  fmt::print("{}\n", page);
  return cli::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(kDescription, "renas-report");
  cli::prepare(app);
  app.footer(kFooter);
  Settings s;
  app.add_option(
         "runs", s.arguments,
         "Folders of runs, then the page to write, which ends in .html; without it the page of "
         "one run is RUN/report.html")
      ->required();
  app.add_flag("--force", s.force, "Replace a page that exists (RUN/report.html always is)");
  return cli::run(app, argc, argv, [&] { return report(s); });
}
