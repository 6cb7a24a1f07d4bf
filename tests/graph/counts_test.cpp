// Compares the sizes of networks with tests/golden/counts.txt, which an independent counter wrote
// (tests/golden/make_counts.py). It shares no code with the library.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "graph/cell_counts.h"
#include "renas/error.h"
#include "renas/network.h"

using namespace renas;

namespace {

struct Case {
  std::string genome;
  NetworkOptions options;
  int64_t parameters = 0;
  int64_t mult_adds = 0;
};

/// Reads one line: genome network cells filters stem HxWxC classes concat_c2 parameters mult_adds.
Case read_case(const std::string& line) {
  std::istringstream in(line);
  Case result;
  NetworkOptions& o = result.options;
  std::string network, image;
  in >> result.genome >> network >> o.cells >> o.filters >> o.stem >> image;
  in >> o.classes >> o.concat_c2 >> result.parameters >> result.mult_adds;
  BOOST_REQUIRE_MESSAGE(in && (in >> std::ws).eof(), "cannot read: " << line);
  o.kind = parse_network_kind(network);
  o.image = parse_shape(image);
  return result;
}

/// The space of genomes with as many cells and blocks as this one.
SearchSpace space_of_cells(const std::string& genome) {
  std::vector<SearchSpace> cells;
  std::istringstream parts(genome);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part == "renas") continue;
    cells.push_back(
        SearchSpace::renas(1 + static_cast<int>(std::count(part.begin(), part.end(), ','))));
  }
  return cells.size() == 1 ? cells[0] : SearchSpace::pair(cells[0], cells[1]);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(counts)

BOOST_AUTO_TEST_CASE(networks_have_the_sizes_an_independent_counter_gives) {
  std::ifstream file(RENAS_GOLDEN_DIR "/counts.txt");
  BOOST_REQUIRE_MESSAGE(file, "cannot open " RENAS_GOLDEN_DIR "/counts.txt");
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    BOOST_TEST_CONTEXT(line) {
      const Case expected = read_case(line);
      const SearchSpace space = space_of_cells(expected.genome);
      try {
        const Counts found =
            count(build_network(space, parse_genome(space, expected.genome), expected.options));
        BOOST_TEST(found.parameters == expected.parameters);
        BOOST_TEST(found.mult_adds == expected.mult_adds);
        // The closed formulas by which a search checks its limits.
        const Counts closed =
            count_network(space, parse_genome(space, expected.genome), expected.options);
        BOOST_TEST(closed.parameters == expected.parameters);
        BOOST_TEST(closed.mult_adds == expected.mult_adds);
      } catch (const Error& error) {
        BOOST_ERROR(error.what());
      }
    }
  }
  BOOST_TEST(cases >= 500);
}

BOOST_AUTO_TEST_SUITE_END()
