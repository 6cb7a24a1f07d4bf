#include "prep.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>

#include "renas/error.h"

namespace renas::prep {

int run(CLI::App& app, int argc, char** argv, const std::function<void()>& work) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);  // --help
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return 2;
  }
  try {
    work();
    return 0;
  } catch (const InvalidInput& error) {
    fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
    return 1;
  }
}

Progress::Progress(std::string what, int64_t total)
    : what_(std::move(what)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) == 1),
      begin_(Clock::now()),
      last_(begin_) {}

Progress::~Progress() {
  if (shown_ < 0) return;
  show(shown_);
  if (terminal_) fmt::print(stderr, "\n");
}

void Progress::update(int64_t done) {
  const auto now = Clock::now();
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  const bool first = shown_ < 0 && terminal_;
  if (!first && now - last_ < pause) {
    if (shown_ >= 0) shown_ = done;
    return;
  }
  last_ = now;
  shown_ = done;
  show(done);
}

void Progress::show(int64_t done) {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  fmt::print(stderr, "{}{}: {} of {} ({:.0f} %), {:.0f}/s, {:.0f} s left{}", terminal_ ? "\r" : "",
             what_, done, total_,
             total_ > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(total_) : 100.0,
             rate, left, terminal_ ? "   " : "\n");
  std::fflush(stderr);
}

void Report::count(const std::string& split, std::span<const int32_t> labels) {
  Counts counts{split, {}};
  for (const int32_t label : labels) {
    const auto at = static_cast<std::size_t>(label);
    if (counts.by_class.size() <= at) counts.by_class.resize(at + 1);
    ++counts.by_class[at];
  }
  splits_.push_back(std::move(counts));
}

void Report::skip(const std::string& reason, const std::string& file) {
  skipped_[reason].push_back(file);
}

int64_t Report::skipped() const {
  int64_t total = 0;
  for (const auto& [reason, files] : skipped_) total += static_cast<int64_t>(files.size());
  return total;
}

void Report::print(const std::string& path, const DataSetInfo& info) const {
  fmt::print("{}: {} classes\n", path, info.classes);
  for (const Counts& counts : splits_) {
    int64_t total = 0;
    for (const int64_t n : counts.by_class) total += n;
    fmt::print("{}: {} pictures", counts.split, total);
    std::vector<int64_t> padded = counts.by_class;
    padded.resize(static_cast<std::size_t>(info.classes));
    const auto [least, most] = std::minmax_element(padded.begin(), padded.end());
    if (*least == *most) {
      fmt::print(", {} of each class\n", *least);
      continue;
    }
    fmt::print(", {} to {} of a class\n", *least, *most);
    for (std::size_t c = 0; c < padded.size(); ++c) {
      fmt::print("  {:>6} {}\n", padded[c],
                 info.class_names.empty() ? fmt::format("class {}", c) : info.class_names[c]);
    }
  }
  fmt::print("mean of each channel {:.4f}, standard deviation {:.4f}\n", fmt::join(info.mean, " "),
             fmt::join(info.sd, " "));
  for (const auto& [reason, files] : skipped_) {
    fmt::print("skipped, {}: {}\n", reason, files.size());
    const std::size_t shown = std::min<std::size_t>(files.size(), 10);
    for (std::size_t i = 0; i < shown; ++i) fmt::print("  {}\n", files[i]);
    if (files.size() > shown) fmt::print("  and {} more\n", files.size() - shown);
  }
}

}  // namespace renas::prep
