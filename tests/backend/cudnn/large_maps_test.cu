// How kernels find numbers in maps that are larger than 32 bits count.
#include <boost/test/unit_test.hpp>

#include "backend/cudnn/kernels/vectors.h"

using namespace renas;

BOOST_AUTO_TEST_CASE(numbers_of_large_maps_have_their_own_places) {
  const cudnn::Map map = {513, 513, 2048};
  const std::size_t image = std::size_t{513} * 513 * 2048;
  const std::size_t last = 16 * image - 8;
  BOOST_TEST(last > (std::size_t{1} << 32));
  BOOST_TEST(cudnn::pixel_at(map, 15, 512, 512, 2040) == last);
  const cudnn::Place p = cudnn::place_of(map, 16, last / 8);
  BOOST_TEST(p.exists);
  BOOST_TEST(p.i == last);
  BOOST_TEST((p.n == 15 && p.y == 512 && p.x == 512 && p.c == 2040));
  BOOST_TEST(!cudnn::place_of(map, 16, last / 8 + 1).exists);
}
