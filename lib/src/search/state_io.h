#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "renas/genome.h"
#include "renas/random.h"
#include "renas/state.h"

namespace renas::search {

/// Reads named arrays; a missing, mistyped or mis-sized one is an InvalidInput that names it.
class StateReader {
 public:
  explicit StateReader(const State& state) : state_(state) {}

  const std::vector<int64_t>& ints(const std::string& name) const;
  const std::vector<uint64_t>& words(const std::string& name) const;
  const std::vector<double>& doubles(const std::string& name) const;
  const std::vector<float>& floats(const std::string& name) const;
  /// The same, with exactly `size` elements.
  const std::vector<int64_t>& ints(const std::string& name, std::size_t size) const;
  const std::vector<uint64_t>& words(const std::string& name, std::size_t size) const;
  const std::vector<double>& doubles(const std::string& name, std::size_t size) const;
  const std::vector<float>& floats(const std::string& name, std::size_t size) const;

  std::string text(const std::string& name) const;
  Random random(const std::string& name) const;
  /// `count` genomes of `space`, each checked.
  std::vector<Genome> genomes(const std::string& name, const SearchSpace& space,
                              std::size_t count) const;
  /// `count` lists of mutations, each checked.
  std::vector<std::vector<Mutation>> mutations(const std::string& name, const SearchSpace& space,
                                               std::size_t count) const;

 private:
  const State& state_;
};

/// The counterparts for writing.
class StateWriter {
 public:
  explicit StateWriter(State& state) : state_(state) {}

  template <class T>
  void put(const std::string& name, std::vector<T> values) {
    state_[name] = std::move(values);
  }
  void floats(const std::string& name, std::span<const float> values) {
    state_[name] = std::vector<float>(values.begin(), values.end());
  }
  void text(const std::string& name, const std::string& text);
  void random(const std::string& name, const Random& random);
  void genomes(const std::string& name, const std::vector<Genome>& genomes);
  void mutations(const std::string& name, const std::vector<std::vector<Mutation>>& lists);

 private:
  State& state_;
};

}  // namespace renas::search
