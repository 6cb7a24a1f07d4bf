#include "renas/tensor.h"

#include <boost/test/unit_test.hpp>

#include "renas/error.h"

using namespace renas;

BOOST_AUTO_TEST_CASE(image_sizes_are_height_width_channels) {
  BOOST_TEST((parse_shape("32x30x3") == Shape{3, 32, 30}));
  BOOST_TEST(to_string(Shape{3, 32, 30}) == "32x30x3");
  for (const char* wrong : {"", "32", "32x32", "32x32x", "32x32x3x", "axbxc", "0x1x1", "-1x1x1",
                            "1x1x99999999999", "32X32X3", " 32x32x3"}) {
    BOOST_CHECK_THROW(parse_shape(wrong), InvalidInput);
  }
}
