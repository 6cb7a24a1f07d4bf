#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// A bank of real cells: what cells are worth when they are trained from scratch, and what fitness
/// a search would have seen. It is a text file of one JSON object a line, which only grows, so that
/// an interrupted making goes on where it stood:
///
///   {"bank": 1, "options": {...}}                          how the cells are made and judged
///   {"cell": 3, "genome": G, "fitness": F, "loss": L, "parameters": n, "mult_adds": n}
///                                                          a random cell, as a search starts from
///   {"cell": 20, "parent": 3, "genome": G, "changes": c}   a child; `changes` counts changed slots
///   {"truth": 20, "seed": s, "accuracy": A}                trained from scratch, on the test
///   images
///   {"protocol": NAME, "cell": 20, "fitness": F, "loss": L, "inherited": h, "images": n}
///                                                          the child trained in the way NAME, or
///                                                          a random cell, where NAME trains them
///   {"random_loss": 3, "loss": L}                          of a random cell whose line lacks it
///   {"initial_gradient": 20, "norm": g}                    of the cell before all training
///
/// Fitness and accuracy are shares in [0, 1]; `inherited` is the share of the trainable numbers
/// that the parent gave; a cell that fails has the accuracy 0. A loss is the mean cross-entropy in
/// nats on the images that the fitness is measured on, null if it is not finite; results of earlier
/// versions lack it. `norm` is the Euclidean length of the loss's gradient by all parameters, over
/// one batch.
class FitnessBank {
 public:
  struct Cell {
    int64_t id = 0;
    std::optional<int64_t> parent;  ///< none: a random cell
    std::string genome;
    int changes = 0;
    double fitness = 0;               ///< of a random cell
    std::optional<double> loss;       ///< of a random cell; none: not known
    std::optional<double> gradient;   ///< the norm at its initialisation; none: not known
    std::map<int64_t, double> truth;  ///< by the seed of the training
  };
  /// A result of a protocol.
  struct Result {
    double fitness = 0;
    double inherited = 0;
    std::optional<double> loss;
  };

  /// Opens the bank in file `path`, or begins one. A last line that was not finished is cut off.
  /// Throws InvalidInput if the bank was made with other options, or if the file is none.
  FitnessBank(std::string path, const nlohmann::json& options);
  /// Opens a bank that is there, to read it.
  explicit FitnessBank(const std::string& path);

  /// Appends a line, on disk when this returns. Throws IoError.
  void add(const nlohmann::json& line);

  const nlohmann::json& options() const { return options_; }
  const std::vector<Cell>& cells() const { return cells_; }
  /// By protocol and cell.
  const std::map<std::string, std::map<int64_t, Result>>& results() const { return results_; }

 private:
  void read();
  void take(const nlohmann::json& line);

  std::string path_;
  nlohmann::json options_;
  std::vector<Cell> cells_;  // by id
  std::map<std::string, std::map<int64_t, Result>> results_;
};

/// Prints what the bank says of each of its protocols: Kendall's tau of fitness with truth over all
/// cells and within the children of one parent, that of the loss, the recall of the best ten, the
/// mean drop below the parent by the number of changes; and the reliability of the truth, how much
/// of it children have from their parents, and what the gradient at the initialisation tells of it.
void print_report(const FitnessBank& bank);
