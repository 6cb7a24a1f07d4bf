#include "watch_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "cli/console.h"
#include "cli/frame.h"
#include "cli/search_settings.h"
#include "renas/error.h"
#include "renas/run_directory.h"

using namespace renas;

namespace {

namespace fs = std::filesystem;

/// Of how many of the last results speed, times and ranks are reckoned.
constexpr std::size_t kLast = 200;

std::string last_line(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return "";
  const auto size = static_cast<std::streamoff>(in.tellg());
  in.seekg(std::max<std::streamoff>(0, size - 2000));
  std::string last;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

int count_models(const std::string& folder) {
  int count = 0;
  std::error_code failure;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    const std::string name = at->path().filename();
    count += name.ends_with(".h5") && !name.ends_with(".checkpoint.h5");
  }
  return count;
}

/// The members of the population after a history, by id.
std::map<uint64_t, double> population_of(const std::vector<HistoryEntry>& history) {
  std::map<uint64_t, double> members;
  for (const HistoryEntry& e : history) {
    if (e.status == Status::kOk) members[e.id] = e.fitness;
    if (e.removed) members.erase(*e.removed);
  }
  return members;
}

/// How often each number occurs, as "0: 5, 1: 7"; of many only how many there are.
std::string ranks_text(const std::map<int, int>& results) {
  if (results.size() > 16) {
    const auto [least, most] =
        std::minmax_element(results.begin(), results.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; });
    return fmt::format("{}, with {} to {} results each", results.size(), least->second,
                       most->second);
  }
  std::string text;
  for (const auto& [rank, count] : results) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", rank, count);
  }
  return text;
}

/// What the last results say: speed, time that is left, seconds of a child, ranks.
std::string recent_text(const std::vector<HistoryEntry>& history, std::size_t total) {
  const std::size_t from = history.size() - std::min(history.size(), kLast);
  std::vector<double> seconds;
  std::map<int, int> ranks;
  for (std::size_t i = from; i < history.size(); ++i) {
    seconds.push_back(history[i].seconds);
    ++ranks[history[i].rank];
  }
  std::sort(seconds.begin(), seconds.end());
  const double span = history.back().elapsed - history[from].elapsed;
  std::string text;
  if (span > 0) {
    const double rate = static_cast<double>(history.size() - 1 - from) / span;
    text += fmt::format("speed       {:.1f} results a minute", 60 * rate);
    if (total > history.size()) {
      text += fmt::format(", {} left",
                          cli::duration_text(static_cast<double>(total - history.size()) / rate));
    }
    text += "\n";
  }
  return text +
         fmt::format("a child     {:.1f} s in the median, {:.1f} s at most\nranks       {}\n",
                     seconds[seconds.size() / 2], seconds.back(), ranks_text(ranks));
}

struct View {
  std::string text;
  bool finished = false;
};

View look_at(const RunDirectory& run, const SearchRunOptions& options) {
  const History whole = run.read_history();
  const std::vector<HistoryEntry>& history = whole.entries;
  const std::optional<SearchEnd> end = run.search_over();
  const auto total = end ? history.size()
                         : static_cast<std::size_t>(options.strategy.population + options.children);
  const std::optional<RunResult> result = run.load_result();
  View view;
  view.finished = result.has_value();
  view.text = fmt::format("{}: {}\nresults     {} of {}", run.path(),
                          result ? "finished"
                          : end  ? "retraining"
                                 : "searching",
                          history.size(), total);
  std::map<std::string, int> statuses;
  const HistoryEntry* best = nullptr;
  for (const HistoryEntry& e : history) {
    ++statuses[to_string(e.status)];
    if (e.status == Status::kOk && (best == nullptr || e.fitness > best->fitness)) best = &e;
  }
  for (const auto& [status, number] : statuses) view.text += fmt::format(", {} {}", number, status);
  view.text += "\n";
  if (best != nullptr) {
    double mean = 0;
    const std::map<uint64_t, double> members = population_of(history);
    for (const auto& [id, fitness] : members) mean += fitness / static_cast<double>(members.size());
    view.text +=
        fmt::format("best        {:.2f} % (candidate {}, {} results ago)  {}\n",
                    100 * best->fitness, best->id, history.back().line - best->line, best->genome);
    view.text +=
        fmt::format("population  {} members, {:.2f} % in the mean\n", members.size(), 100 * mean);
  }
  if (!history.empty()) view.text += recent_text(history, total);
  if (end) {
    view.text += fmt::format("retrained   {} of {}\n", count_models(run.path() + "/retrain"),
                             options.strategy.population + options.controls);
  }
  view.text += fmt::format("log         {}\n", last_line(run.log_file()));
  return view;
}

}  // namespace

int watch_run(const std::string& folder, double seconds) {
  const std::atomic<bool>& stop = cli::stop_on_signals();
  const RunDirectory run = RunDirectory::open(folder);
  const SearchRunOptions options = cli::stored_settings(folder).run;
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  std::string shown;
  while (!stop) {
    const View view = look_at(run, options);
    if (view.text != shown) {
      // A terminal is cleared from the top, so that the view stays where it is.
      fmt::print("{}{}{}", terminal ? "\x1b[H\x1b[2J" : "", view.text, terminal ? "" : "\n");
      std::fflush(stdout);
      shown = view.text;
    }
    if (view.finished) break;
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (!stop && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  return cli::kDone;
}
