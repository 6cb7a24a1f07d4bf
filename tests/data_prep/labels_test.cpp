// Tables of labels as people have them, and names that are not UTF-8.

#include "labels.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "data_prep/programs.h"
#include "names.h"
#include "renas/error.h"

using renas::InvalidInput;
using renas::prep::as_utf8;
using renas::prep::is_utf8;
using renas::prep::parse_labels;
using renas::test::has;

namespace {

/// "name=label name=label ...", or the message.
std::string parsed(const std::vector<std::string>& lines) {
  try {
    std::string text;
    for (const auto& line : parse_labels(lines, "x")) {
      text += (text.empty() ? "" : " | ") + line.name + "=" + line.label;
    }
    return text;
  } catch (const InvalidInput& error) {
    return error.what();
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tables_of_labels)

BOOST_AUTO_TEST_CASE(fields_are_separated_as_spreadsheets_and_scripts_do) {
  const std::string expected = "a.png=cat | b.png=dog";
  BOOST_TEST(parsed({"a.png cat", "b.png dog"}) == expected);
  BOOST_TEST(parsed({"a.png\tcat", "b.png\tdog"}) == expected);
  BOOST_TEST(parsed({"a.png,cat", "b.png,dog"}) == expected);
  BOOST_TEST(parsed({"a.png;cat", "b.png;dog"}) == expected);
  BOOST_TEST(parsed({"a.png, cat", "  b.png , dog\r"}) == expected);
  BOOST_TEST(parsed({"", "a.png,cat,7,8", "", "b.png,dog,,"}) == expected);
  BOOST_TEST(parsed({"\xef\xbb\xbf"
                     "a.png,cat\r",
                     "b.png,dog\r"}) == expected);
  BOOST_TEST(parsed({"\"a.png\",\"cat\"", "\"b.png\",\"dog\""}) == expected);
  BOOST_TEST(parsed({"\"a.png\" \"cat\"", "b.png   dog"}) == expected);
}

BOOST_AUTO_TEST_CASE(names_keep_their_blanks_and_separators) {
  BOOST_TEST(parsed({"v 3.png,golden retriever"}) == "v 3.png=golden retriever");
  BOOST_TEST(parsed({"\"a,b.png\",\"say \"\"hi\"\"\""}) == "a,b.png=say \"hi\"");
  BOOST_TEST(parsed({"a,b.png;cat", "c.png;black, white"}) == "a,b.png=cat | c.png=black, white");
  BOOST_TEST(parsed({"a;b.png\tcat"}) == "a;b.png=cat");
}

BOOST_AUTO_TEST_CASE(a_header_says_which_columns_to_take) {
  BOOST_TEST(parsed({"filename,label", "a,cat"}) == "a=cat");
  BOOST_TEST(parsed({"\xef\xbb\xbf\"Image_ID\";\"Class Name\"", "a;cat"}) == "a=cat");
  BOOST_TEST(parsed({",label,fold,filename", "0,cat,3,a", "1,dog,3,b"}) == "a=cat | b=dog");
  BOOST_TEST(parsed({"id breed", "a cat"}) == "a=cat");
  // Only the first line is one, and only where it names both.
  BOOST_TEST(parsed({"a,cat", "filename,label"}) == "a=cat | filename=label");
  BOOST_TEST(parsed({"image,7"}) == "image=7");
  BOOST_TEST(parsed({"filename,label"}) == "x: no lines");
}

BOOST_AUTO_TEST_CASE(boxes_behind_a_class_are_ignored) {
  BOOST_TEST(parsed({"ImageId,PredictionString", "v1,n01 1 2 3 4 n01 5 6 7 8"}) == "v1=n01");
  BOOST_TEST(parsed({"v1.JPEG\tn01\t0\t32\t44\t62"}) == "v1.JPEG=n01");  // Tiny ImageNet
  BOOST_TEST(parsed({"ImageId,PredictionString", "v1,n01 1 2"}) == "v1=n01");
  BOOST_TEST(parsed({"v1,class 1"}) == "v1=class 1");
}

BOOST_AUTO_TEST_CASE(what_is_no_table_is_refused_with_its_line) {
  BOOST_TEST(parsed({"a,cat", "", "b"}) ==
             "x, line 3: expected an image's name and its class, got 'b'");
  BOOST_TEST(parsed({"490"}) ==
             "x, line 1: expected an image's name and its class, got '490'; a "
             "class alone does not say which image is of it");
  BOOST_TEST(parsed({"a,"}) == "x, line 1: expected an image's name and its class, got 'a,'");
  BOOST_TEST(parsed({"a,\"cat"}) == "x, line 1: a quote is not closed: 'a,\"cat'");
  BOOST_TEST(parsed({std::string("\xff\xfe"
                                 "a\0,\0",
                                 6)}) == "x: this is UTF-16; save the table as UTF-8");
  BOOST_TEST(parsed({}) == "x: no lines");
}

BOOST_AUTO_TEST_CASE(names_become_utf_8) {
  BOOST_TEST(as_utf8("K\xe4se") == "Käse");
  for (const std::string good : {"Käse", "犬", "\U0001f600", "", "plain", "e\u0301"}) {
    BOOST_TEST(is_utf8(good));
    BOOST_TEST(as_utf8(good) == good);
  }
  // Cut, overlong, a surrogate, beyond Unicode, a lonely continuation.
  for (const std::string bad : {"a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                                "\xf4\x90\x80\x80", "\x80", "\xff", "\xf0\x80\x80\x80"}) {
    BOOST_TEST(!is_utf8(bad));
    BOOST_TEST(is_utf8(as_utf8(bad)));
  }
  BOOST_TEST(renas::prep::lower_case("ÄÖ CAT ×") == "äö cat ×");
}

BOOST_AUTO_TEST_SUITE_END()
