#include "report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "names.h"
#include "renas/error.h"

namespace renas::prep {

Progress::Progress(std::string what, int64_t total)
    : console_("", false),
      what_(std::move(what)),
      total_(total),
      begin_(Clock::now()),
      last_(begin_) {}

void Progress::update(int64_t done) {
  const auto now = Clock::now();
  if (done < total_ && now - last_ < std::chrono::milliseconds(200)) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(done) / std::max(seconds, 1e-3);
  console_.progress(fmt::format("{} of {} {}, {:.0f} a second, {} left", done, total_, what_, rate,
                                cli::duration_text(static_cast<double>(total_ - done) / rate)));
  if (done == total_) console_.finish();
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

void Report::skip(const std::string& reason, const std::string& what) {
  skipped_[reason].push_back(what);
}

void Report::print(const std::string& path, const DataSetInfo& info) const {
  fmt::print("{}: {} classes\n", path, info.classes);
  const auto classes = static_cast<std::size_t>(info.classes);
  bool even = true;
  std::string header;
  std::vector<std::string> rows(classes);
  for (const Counts& counts : splits_) {
    std::vector<int64_t> by_class = counts.by_class;
    by_class.resize(classes);
    const auto [least, most] = std::minmax_element(by_class.begin(), by_class.end());
    fmt::print("{}: {} images, {}\n", counts.split,
               std::accumulate(by_class.begin(), by_class.end(), int64_t{0}),
               *least == *most ? fmt::format("{} of each class", *least)
                               : fmt::format("{} to {} of a class", *least, *most));
    even = even && *least == *most;
    header += fmt::format("{:>9}", counts.split);
    for (std::size_t c = 0; c < classes; ++c) rows[c] += fmt::format("{:>9}", by_class[c]);
  }
  if (!even) {
    fmt::print("{}  class\n", header);
    for (std::size_t c = 0; c < classes; ++c) {
      fmt::print("{}  {}\n", rows[c],
                 info.class_names.empty() ? fmt::format("{}", c) : info.class_names[c]);
    }
  }
  fmt::print("mean of each channel {:.4f}, standard deviation {:.4f}\n", fmt::join(info.mean, " "),
             fmt::join(info.sd, " "));
  for (const auto& [reason, things] : skipped_) {
    fmt::print("left out, {}: {}\n", reason, things.size());
    const std::size_t shown = std::min<std::size_t>(things.size(), 10);
    for (std::size_t i = 0; i < shown; ++i) fmt::print("  {}\n", things[i]);
    if (things.size() > shown) fmt::print("  and {} more\n", things.size() - shown);
  }
  for (const std::string& note : notes_) fmt::print("{}\n", note);
}

std::string Report::left_out() const {
  std::string text;
  for (const auto& [reason, things] : skipped_) {
    for (const std::string& thing : things) text += reason + '\t' + thing + '\n';
  }
  return text;
}

std::vector<std::string> class_names(std::vector<std::string> names, const std::string& where,
                                     Report& report) {
  std::map<std::string, std::size_t> seen;  // label by name
  for (std::size_t c = 0; c < names.size(); ++c) {
    std::string& name = names[c];
    if (!is_utf8(name)) {
      name = as_utf8(name);
      report.note(fmt::format("a class name that is not UTF-8 was taken as Latin-1: {}", name));
    }
    const auto [earlier, fresh] = seen.emplace(name, c);
    if (!fresh) {
      throw InvalidInput(
          fmt::format("{}: classes {} and {}, counted from 0, are both called '{}'; give each a "
                      "name of its own",
                      where, earlier->second, c, name));
    }
  }
  return names;
}

}  // namespace renas::prep
