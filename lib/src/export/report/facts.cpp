#include "export/report/facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace renas {

Interval wilson(double share, int64_t count) {
  constexpr double kZ = 1.959964;
  const auto n = static_cast<double>(count);
  const double middle = (share + kZ * kZ / (2 * n)) / (1 + kZ * kZ / n);
  const double half =
      kZ * std::sqrt(share * (1 - share) / n + kZ * kZ / (4 * n * n)) / (1 + kZ * kZ / n);
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

std::optional<Interval> interval_of_mean(const std::vector<double>& values) {
  // Student's t at 97.5 %, by degrees of freedom; beyond the table the normal's.
  static constexpr std::array kT{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365,
                                 2.306,  2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
                                 2.131,  2.120, 2.110, 2.101, 2.093, 2.086};
  if (values.size() < 2) return std::nullopt;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const std::size_t freedom = values.size() - 1;
  const double t = freedom <= kT.size() ? kT[freedom - 1] : 1.96;
  const double half =
      t * std::sqrt(squares / static_cast<double>(freedom) / static_cast<double>(values.size()));
  return Interval{mean - half, mean + half};
}

Progress progress_of(const std::vector<HistoryEntry>& history) {
  Progress progress;
  std::map<uint64_t, double> members;
  double best = 0;
  for (const HistoryEntry& e : history) {
    if (e.status == Status::kOk) {
      best = std::max(best, e.fitness);
      members[e.id] = e.fitness;
    }
    if (e.removed) members.erase(*e.removed);
    double sum = 0;
    for (const auto& [id, fitness] : members) sum += fitness;
    progress.best.push_back(best);
    progress.mean.push_back(members.empty() ? 0 : sum / static_cast<double>(members.size()));
  }
  return progress;
}

RankUse rank_use(const std::vector<HistoryEntry>& history) {
  std::map<int, double> busy;
  RankUse use;
  double begin = INFINITY;
  for (const HistoryEntry& e : history) {
    use.elapsed = std::max(use.elapsed, e.elapsed);
    begin = std::min(begin, std::max(0.0, e.elapsed - e.seconds));
    if (e.rank >= 0) busy[e.rank] += e.seconds;
  }
  if (std::isfinite(begin)) use.elapsed -= begin;
  for (const auto& [rank, seconds] : busy) {
    use.ranks.push_back(rank);
    use.busy.push_back(seconds);
  }
  return use;
}

double RankUse::share() const {
  const double all = elapsed * static_cast<double>(ranks.size());
  return all > 0 ? std::min(1.0, rank_hours() * 3600 / all) : 0;
}

double RankUse::rank_hours() const {
  double seconds = 0;
  for (const double of_rank : busy) seconds += of_rank;
  return seconds / 3600;
}

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

std::string percent_with_interval(double share, int64_t count) {
  if (count <= 0) return percent(share);
  const Interval interval = wilson(share, count);
  return fmt::format("{} [{:.2f}, {:.2f}]", percent(share), 100 * interval.low,
                     100 * interval.high);
}

std::string duration(double seconds) {
  const auto whole = std::lround(seconds);
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

std::string grouped(int64_t number) {
  const std::string digits = std::to_string(number);
  std::string result;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) result += ',';
    result += digits[i];
  }
  return result;
}

}  // namespace renas
