#include "core/checksum.h"

#include <boost/test/unit_test.hpp>

using namespace renas;

BOOST_AUTO_TEST_SUITE(checksums)

BOOST_AUTO_TEST_CASE(crc32_is_that_of_zlib) {
  // The check value of CRC-32 in every catalogue.
  BOOST_TEST(crc32("123456789") == 0xCBF43926U);
  BOOST_TEST(crc32("") == 0U);
}

BOOST_AUTO_TEST_CASE(a_sealed_object_is_json_and_any_other_byte_breaks_it) {
  const std::string sealed = seal_json("{\n  \"a\": 1\n}\n");
  BOOST_TEST(sealed == "{\n  \"a\": 1,\"crc32\":\"" + sealed.substr(sealed.size() - 10));
  BOOST_TEST(is_sealed_json(sealed));
  BOOST_TEST(is_sealed_json(sealed + " \n"));
  BOOST_TEST(!is_sealed_json(""));
  BOOST_TEST(!is_sealed_json("{\"a\":1}"));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string other = sealed;
    ++other[i];
    BOOST_TEST(!is_sealed_json(other), other);
  }
}

BOOST_AUTO_TEST_CASE(a_sealed_text_gives_itself_back) {
  BOOST_TEST(unseal_text(seal_text("a\nb\n")).value() == "a\nb\n");
  BOOST_TEST(unseal_text(seal_text("no end")).value() == "no end\n");
  BOOST_TEST(!unseal_text("a\n# crc32 00000000\n"));
  BOOST_TEST(!unseal_text("a\n"));
  BOOST_TEST(!unseal_text(""));
}

BOOST_AUTO_TEST_CASE(one_flipped_bit_is_mended_and_two_are_not) {
  const std::string sealed = seal_json("{\"fitness\":0.25}");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string damaged = sealed;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    BOOST_TEST(repair_bit(damaged, is_sealed_json).value_or("none") == sealed);
    damaged[(i + 3) % sealed.size()] ^= 4;
    BOOST_TEST(!repair_bit(damaged, is_sealed_json));
  }
}

BOOST_AUTO_TEST_SUITE_END()
