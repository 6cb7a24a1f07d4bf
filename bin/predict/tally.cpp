#include "predict/tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace renas::cli {
namespace {

constexpr std::size_t kShownMistakes = 10;
constexpr std::size_t kLargestMatrix = 20;  // classes that fit side by side

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Tally::Tally(std::vector<std::string> class_names)
    : names_(std::move(class_names)),
      matrix_(names_.size(), std::vector<int64_t>(names_.size(), 0)) {}

void Tally::add(const std::string& picture, int label, const std::vector<int>& said,
                float probability) {
  const int first = said.front();
  ++count_;
  ++matrix_[static_cast<std::size_t>(label)][static_cast<std::size_t>(first)];
  const auto end = said.begin() + std::min<std::ptrdiff_t>(5, std::ssize(said));
  if (std::find(said.begin(), end, label) != end) ++in_five_;
  if (first == label) {
    ++correct_;
    return;
  }
  const auto place = std::find_if(mistakes_.begin(), mistakes_.end(),
                                  [&](const Mistake& m) { return m.probability < probability; });
  mistakes_.insert(place, {picture, label, first, probability});
  if (mistakes_.size() > kShownMistakes) mistakes_.pop_back();
}

double Tally::recall(std::size_t label) const {
  int64_t all = 0;
  for (const int64_t n : matrix_[label]) all += n;
  return share(matrix_[label][label], all);
}

double Tally::balanced_accuracy() const {
  double sum = 0;
  int classes = 0;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (std::all_of(matrix_[i].begin(), matrix_[i].end(), [](int64_t n) { return n == 0; })) {
      continue;
    }
    sum += recall(i);
    ++classes;
  }
  return classes == 0 ? 0 : sum / classes;
}

std::string Tally::matrix_text() const {
  std::size_t name_width = 5;
  for (const std::string& name : names_) name_width = std::max(name_width, name.size());
  std::string text = "confusion matrix: rows are classes, columns what the model says\n";
  text += fmt::format("{:>{}}", "", name_width);
  for (std::size_t i = 0; i < names_.size(); ++i) text += fmt::format(" {:>6}", i);
  text += "  recall\n";
  for (std::size_t i = 0; i < names_.size(); ++i) {
    text += fmt::format("{:>{}}", names_[i], name_width);
    for (const int64_t n : matrix_[i]) text += fmt::format(" {:>6}", n);
    text += fmt::format("  {:5.1f} %  {}\n", 100 * recall(i), i);
  }
  return text;
}

std::string Tally::confusions_text() const {
  std::vector<std::tuple<int64_t, std::size_t, std::size_t>> found;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    for (std::size_t j = 0; j < names_.size(); ++j) {
      if (i != j && matrix_[i][j] > 0) found.emplace_back(-matrix_[i][j], i, j);
    }
  }
  std::sort(found.begin(), found.end());
  std::string text = "commonest confusions (--json has the whole matrix)\n";
  for (std::size_t k = 0; k < std::min(found.size(), kShownMistakes); ++k) {
    const auto& [n, i, j] = found[k];
    text += fmt::format("{:>6} times {} for {}\n", -n, names_[j], names_[i]);
  }
  return text;
}

std::string Tally::text() const {
  std::string text = fmt::format("accuracy  {:.2f} %  ({} of {})\n", 100 * share(correct_, count_),
                                 correct_, count_);
  if (names_.size() > 5) text += fmt::format("top-5     {:.2f} %\n", 100 * share(in_five_, count_));
  text += fmt::format("balanced  {:.2f} %\n\n", 100 * balanced_accuracy());
  text += names_.size() <= kLargestMatrix ? matrix_text() : confusions_text();
  if (!mistakes_.empty()) text += "\nmost confident mistakes\n";
  for (const Mistake& m : mistakes_) {
    text += fmt::format("{:>6.1f} %  {} for {}  {}\n", 100 * m.probability,
                        names_[static_cast<std::size_t>(m.said)],
                        names_[static_cast<std::size_t>(m.label)], m.picture);
  }
  return text;
}

nlohmann::ordered_json Tally::json() const {
  nlohmann::ordered_json mistakes = nlohmann::ordered_json::array();
  for (const Mistake& m : mistakes_) {
    mistakes.push_back({{"picture", m.picture},
                        {"class", names_[static_cast<std::size_t>(m.label)]},
                        {"said", names_[static_cast<std::size_t>(m.said)]},
                        {"probability", m.probability}});
  }
  return {{"pictures", count_},
          {"correct", correct_},
          {"accuracy", share(correct_, count_)},
          {"top_5", share(in_five_, count_)},
          {"balanced_accuracy", balanced_accuracy()},
          {"confusion_matrix", matrix_},
          {"confident_mistakes", mistakes}};
}

}  // namespace renas::cli
