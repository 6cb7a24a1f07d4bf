#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace renas::cli {

/// How often a model is right on pictures whose class is known, and where it is wrong.
class Tally {
 public:
  explicit Tally(std::vector<std::string> class_names);

  /// Counts a picture: its class, and the classes that the model says, the likeliest first, the
  /// first with this probability.
  void add(const std::string& picture, int label, const std::vector<int>& said, float probability);
  int64_t count() const { return count_; }

  /// The result for people: accuracies, the confusion matrix (of many classes the commonest
  /// confusions), the most confident mistakes.
  std::string text() const;
  /// The same as JSON, with the whole matrix: [class][class said].
  nlohmann::ordered_json json() const;

 private:
  struct Mistake {
    std::string picture;
    int label;
    int said;
    float probability;
  };
  std::string matrix_text() const;
  std::string confusions_text() const;
  double recall(std::size_t label) const;
  double balanced_accuracy() const;

  std::vector<std::string> names_;
  std::vector<std::vector<int64_t>> matrix_;
  std::vector<Mistake> mistakes_;  // the most confident ones, likeliest first
  int64_t count_ = 0;
  int64_t correct_ = 0;
  int64_t in_five_ = 0;
};

}  // namespace renas::cli
