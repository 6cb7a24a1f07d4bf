// The memory that programs of the cpu backend hand on to each other.

#include "backend/cpu/memory.h"

#include <boost/test/unit_test.hpp>
#include <utility>

#include "backend/conformance/cases.h"
#include "backend/cpu/program.h"

using namespace renas;
using cpu::ArenaCache;
using cpu::Buffer;

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(what_is_given_back_is_taken_again_if_it_is_large_enough) {
  ArenaCache cache;
  Buffer first = cache.take(1000);
  const float* const data = first.data();
  cache.put_back(std::move(first));
  Buffer less = cache.take(10);
  BOOST_TEST(less.data() == data);
  BOOST_TEST(less.size() == 1000u);
  Buffer other = cache.take(10);  // the first one is still in use
  BOOST_TEST(other.data() != data);
  cache.put_back(std::move(less));
  const Buffer more = cache.take(1001);
  BOOST_TEST(more.size() == 1001u);
}

BOOST_AUTO_TEST_CASE(the_larger_of_two_is_kept) {
  for (const bool larger_first : {true, false}) {
    ArenaCache cache;
    Buffer large = cache.take(2000);
    Buffer small = cache.take(1000);
    cache.put_back(std::move(larger_first ? large : small));
    cache.put_back(std::move(larger_first ? small : large));
    BOOST_TEST(cache.take(1).size() == 2000u);
    BOOST_TEST(cache.take(1).size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(a_program_s_arena_goes_to_the_next) {
  const conformance::Case c = conformance::training_case();
  const auto cache = std::make_shared<ArenaCache>();
  { const cpu::CpuProgram program(c.graph, {.batch = c.batch}, cache); }
  Buffer arena = cache->take(1);
  const std::size_t size = arena.size();
  BOOST_TEST(size > 1000u);
  cache->put_back(std::move(arena));
  {
    const cpu::CpuProgram program(c.graph, {.batch = c.batch}, cache);
    BOOST_TEST(cache->take(1).size() == 1u);
  }
  BOOST_TEST(cache->take(1).size() == size);
}

BOOST_AUTO_TEST_SUITE_END()
