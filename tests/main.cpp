#define BOOST_TEST_MODULE renas
#include <boost/test/unit_test.hpp>
