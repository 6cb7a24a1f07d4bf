#include "search/flights.h"

#include <utility>

namespace renas::search {

const Flight& Flights::add(Flight flight) {
  ++children_[flight.candidate.parent];
  const uint64_t id = flight.candidate.id;
  return flights_.emplace(id, std::move(flight)).first->second;
}

std::optional<Flight> Flights::take(uint64_t id) {
  const auto found = flights_.find(id);
  if (found == flights_.end()) return std::nullopt;
  Flight flight = std::move(found->second);
  flights_.erase(found);
  const auto siblings = children_.find(flight.candidate.parent);
  if (--siblings->second == 0) children_.erase(siblings);
  return flight;
}

const Flight* Flights::find(uint64_t id) const {
  const auto found = flights_.find(id);
  return found == flights_.end() ? nullptr : &found->second;
}

void Flights::clear() {
  flights_.clear();
  children_.clear();
}

std::size_t Flights::children_of(std::optional<uint64_t> parent) const {
  const auto found = children_.find(parent);
  return found == children_.end() ? 0 : found->second;
}

}  // namespace renas::search
