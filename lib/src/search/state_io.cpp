#include "search/state_io.h"

#include <fmt/format.h>

#include "renas/error.h"

namespace renas::search {

namespace {

template <class T>
const std::vector<T>& get(const State& state, const std::string& name, const char* type) {
  const auto found = state.find(name);
  if (found == state.end()) {
    throw InvalidInput(fmt::format("search state: array '{}' is missing", name));
  }
  const auto* values = std::get_if<std::vector<T>>(&found->second);
  if (!values) {
    throw InvalidInput(fmt::format("search state: array '{}' is not of type {}", name, type));
  }
  return *values;
}

template <class T>
const std::vector<T>& sized(const std::vector<T>& values, const std::string& name,
                            std::size_t size) {
  if (values.size() != size) {
    throw InvalidInput(fmt::format("search state: array '{}' should hold {} values, found {}", name,
                                   size, values.size()));
  }
  return values;
}

}  // namespace

const std::vector<int64_t>& StateReader::ints(const std::string& name) const {
  return get<int64_t>(state_, name, "int64");
}
const std::vector<uint64_t>& StateReader::words(const std::string& name) const {
  return get<uint64_t>(state_, name, "uint64");
}
const std::vector<double>& StateReader::doubles(const std::string& name) const {
  return get<double>(state_, name, "double");
}
const std::vector<float>& StateReader::floats(const std::string& name) const {
  return get<float>(state_, name, "float");
}
const std::vector<int64_t>& StateReader::ints(const std::string& name, std::size_t size) const {
  return sized(ints(name), name, size);
}
const std::vector<uint64_t>& StateReader::words(const std::string& name, std::size_t size) const {
  return sized(words(name), name, size);
}
const std::vector<double>& StateReader::doubles(const std::string& name, std::size_t size) const {
  return sized(doubles(name), name, size);
}
const std::vector<float>& StateReader::floats(const std::string& name, std::size_t size) const {
  return sized(floats(name), name, size);
}

std::string StateReader::text(const std::string& name) const {
  std::string text;
  for (const int64_t c : ints(name)) text += static_cast<char>(c);
  return text;
}

Random StateReader::random(const std::string& name) const {
  const auto& words3 = words(name, 3);
  return Random(Random::State{words3[0], words3[1], words3[2]});
}

std::vector<Genome> StateReader::genomes(const std::string& name, const SearchSpace& space,
                                         std::size_t count) const {
  const std::size_t length = space.slot_count();
  const auto& flat = ints(name, count * length);
  std::vector<Genome> genomes(count, Genome(length));
  for (std::size_t i = 0; i < flat.size(); ++i) {
    genomes[i / length][i % length] = static_cast<int>(flat[i]);
  }
  for (const Genome& genome : genomes) check_genome(space, genome);
  return genomes;
}

std::vector<std::vector<Mutation>> StateReader::mutations(const std::string& name,
                                                          const SearchSpace& space,
                                                          std::size_t count) const {
  const auto& sizes = ints(name + "/sizes", count);
  const auto& flat = ints(name + "/actions");
  std::vector<std::vector<Mutation>> lists(count);
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < sizes[i]; ++j, at += 4) {
      if (at + 4 > flat.size()) {
        throw InvalidInput(fmt::format(
            "search state: array '{}/actions' ends before '{}/sizes' does", name, name));
      }
      const Mutation m{static_cast<int>(flat[at]), static_cast<int>(flat[at + 1]),
                       static_cast<int>(flat[at + 2]), static_cast<int>(flat[at + 3])};
      const auto in_slot = [&](int choice) {
        return choice >= 0 && choice < static_cast<int>(space.slot(m.slot).choices.size());
      };
      if (m.block < 0 || m.block >= space.block_count() || m.slot < space.first_slot(m.block) ||
          m.slot >= space.first_slot(m.block + 1) || !in_slot(m.from) || !in_slot(m.to)) {
        throw InvalidInput(fmt::format(
            "search state: array '{}/actions' holds a mutation that search space '{}' has not",
            name, space.name()));
      }
      lists[i].push_back(m);
    }
  }
  return lists;
}

void StateWriter::text(const std::string& name, const std::string& text) {
  put(name, std::vector<int64_t>(text.begin(), text.end()));
}

void StateWriter::random(const std::string& name, const Random& random) {
  const Random::State state = random.state();
  put(name, std::vector<uint64_t>{state.seed, state.stream, state.position});
}

void StateWriter::genomes(const std::string& name, const std::vector<Genome>& genomes) {
  std::vector<int64_t> flat;
  for (const Genome& genome : genomes) flat.insert(flat.end(), genome.begin(), genome.end());
  put(name, std::move(flat));
}

void StateWriter::mutations(const std::string& name,
                            const std::vector<std::vector<Mutation>>& lists) {
  std::vector<int64_t> sizes;
  std::vector<int64_t> flat;
  for (const auto& list : lists) {
    sizes.push_back(static_cast<int64_t>(list.size()));
    for (const Mutation& m : list) flat.insert(flat.end(), {m.block, m.slot, m.from, m.to});
  }
  put(name + "/sizes", std::move(sizes));
  put(name + "/actions", std::move(flat));
}

}  // namespace renas::search
