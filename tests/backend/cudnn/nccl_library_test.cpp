// The real NCCL, opened as programs open it. It tells its version without a card.
#include "backend/cudnn/nccl_library.h"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_CASE(nccl_s_library_is_opened_and_has_all_that_is_called) {
  std::string lacks;
  const renas::cudnn::Nccl nccl = renas::cudnn::open_nccl(lacks);
  BOOST_TEST(lacks == "");
  int version = 0;
  BOOST_REQUIRE(nccl.get_version != nullptr);
  BOOST_TEST(nccl.get_version(&version) == ncclSuccess);
  BOOST_TEST(version >= 21400);
  BOOST_TEST(nccl.last_error != nullptr);
}
