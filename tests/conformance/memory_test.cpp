// The memory that programs of the cpu backend hand on to each other.

#include "backend/cpu/memory.h"

#include <boost/test/unit_test.hpp>
#include <utility>

#include "backend/cpu/program.h"
#include "conformance/cases.h"

using namespace renas;
using cpu::Buffer;
using cpu::Reserve;

BOOST_AUTO_TEST_SUITE(memory)

BOOST_AUTO_TEST_CASE(what_is_given_back_is_taken_again_if_it_is_large_enough) {
  Reserve reserve;
  Buffer first = reserve.take(1000);
  const float* const data = first.data();
  reserve.give_back(std::move(first));
  Buffer less = reserve.take(10);
  BOOST_TEST(less.data() == data);
  BOOST_TEST(less.size() == 1000u);
  Buffer other = reserve.take(10);  // while the first is in use
  BOOST_TEST(other.data() != data);
  reserve.give_back(std::move(less));
  const Buffer more = reserve.take(1001);
  BOOST_TEST(more.size() == 1001u);
}

BOOST_AUTO_TEST_CASE(the_larger_of_two_is_kept) {
  for (const bool larger_first : {true, false}) {
    Reserve reserve;
    Buffer large = reserve.take(2000);
    Buffer small = reserve.take(1000);
    reserve.give_back(std::move(larger_first ? large : small));
    reserve.give_back(std::move(larger_first ? small : large));
    BOOST_TEST(reserve.take(1).size() == 2000u);
    BOOST_TEST(reserve.take(1).size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(a_program_s_arena_goes_to_the_next) {
  const conformance::Case c = conformance::training_case();
  const auto reserve = std::make_shared<Reserve>();
  { const cpu::CpuProgram program(c.graph, {.batch = c.batch}, reserve); }
  Buffer arena = reserve->take(1);
  const std::size_t size = arena.size();
  BOOST_TEST(size > 1000u);
  reserve->give_back(std::move(arena));
  {
    const cpu::CpuProgram program(c.graph, {.batch = c.batch}, reserve);
    BOOST_TEST(reserve->take(1).size() == 1u);
  }
  BOOST_TEST(reserve->take(1).size() == size);
}

BOOST_AUTO_TEST_SUITE_END()
