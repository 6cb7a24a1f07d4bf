#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "renas/strategy.h"

namespace renas::search {

/// A candidate in flight, and what its strategy must remember until it is told.
struct Flight {
  Candidate candidate;
  std::optional<uint64_t> worst;  ///< the member that leaves when the candidate joins
  double log_probability = 0;     ///< of its mutations when they were drawn, in nats
  double entropy = 0;             ///< of the decisions that drew them, in nats
};

/// The candidates in flight, by id, and how many each parent has among them: with thousands of
/// ranks nobody can look at all of them for each result.
class Flights {
 public:
  /// Adds the flight of a candidate that is not in flight.
  const Flight& add(Flight flight);
  /// Removes the flight of candidate `id` and returns it; none: it is not in flight.
  std::optional<Flight> take(uint64_t id);
  void clear();

  /// The flight of candidate `id`; null: it is not in flight.
  const Flight* find(uint64_t id) const;
  std::size_t size() const { return flights_.size(); }
  /// In the order of ids; the elements are pairs of an id and its Flight.
  auto begin() const { return flights_.begin(); }
  auto end() const { return flights_.end(); }
  /// Candidates of the parent; of none: those without one.
  std::size_t children_of(std::optional<uint64_t> parent) const;

 private:
  std::map<uint64_t, Flight> flights_;
  std::map<std::optional<uint64_t>, std::size_t> children_;  // by parent; those that have some
};

}  // namespace renas::search
