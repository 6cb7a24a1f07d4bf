// HDF5 reads data sets whose bytes were never written as zeros; our reader must refuse them.

#include "core/hdf5.h"

#include <boost/test/unit_test.hpp>

#include "renas/error.h"
#include "support/temporary_folder.h"

using namespace renas;

namespace {

bool says_never_written(const IoError& e) {
  return std::string(e.what()).find("would read as zeros") != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hdf5_files)

BOOST_AUTO_TEST_CASE(a_data_set_that_lacks_chunks_is_refused) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  {
    h5::File file = h5::create_file(path);
    h5::Dataset part = h5::create_dataset(file, "part", H5T_NATIVE_INT32, {10}, {5});
    const hsize_t start = 0;
    const hsize_t count = 5;
    const std::vector<int32_t> values{1, 2, 3, 4, 5};
    const h5::Space from(H5Screate_simple(1, &count, nullptr));
    const h5::Space to(H5Dget_space(part));
    H5Sselect_hyperslab(to, H5S_SELECT_SET, &start, nullptr, &count, nullptr);
    BOOST_TEST(H5Dwrite(part, H5T_NATIVE_INT32, from, to, H5P_DEFAULT, values.data()) >= 0);
    h5::close(part, file, "write");
    h5::write(file, "whole", values);
    h5::close_file(std::move(file));
  }
  const h5::File file = h5::open_file(path);
  BOOST_TEST(h5::read<int32_t>(file, "whole").at(4) == 5);
  BOOST_CHECK_EXCEPTION(h5::read<int32_t>(file, "part"), IoError, says_never_written);
  BOOST_CHECK_EXCEPTION(h5::verify_file(path), IoError, says_never_written);
}

BOOST_AUTO_TEST_CASE(a_contiguous_data_set_that_was_never_written_is_refused) {
  const test::TemporaryFolder folder;
  {
    // Another program may leave a file like this.
    const h5::Handle<H5Fclose> file(
        H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    const hsize_t size = 10;
    const h5::Space space(H5Screate_simple(1, &size, nullptr));
    const h5::Dataset data(
        H5Dcreate2(file, "data", H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    BOOST_TEST(data >= 0);
  }
  const h5::File file = h5::open_file(folder / "a.h5");
  BOOST_CHECK_EXCEPTION(h5::read<float>(file, "data"), IoError, says_never_written);
}

BOOST_AUTO_TEST_CASE(strings_of_every_kind_are_of_fixed_length_and_come_back) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  {
    h5::File file = h5::create_file(path);
    h5::write_attribute(file, "name", std::string("Käfer"));
    h5::write_attribute(file, "empty", std::string());
    h5::write_strings(file, "names", {"one", "", "zwölf"});
    h5::close_file(std::move(file));
  }
  const h5::File file = h5::open_file(path);
  BOOST_TEST(h5::read_string_attribute(file, "name") == "Käfer");
  BOOST_TEST(h5::read_string_attribute(file, "empty").empty());
  const std::vector<std::string> names = h5::read_strings(file, "names");
  BOOST_TEST(names == (std::vector<std::string>{"one", "", "zwölf"}),
             boost::test_tools::per_element());
  for (const char* name : {"name", "empty"}) {
    const h5::Type type(H5Aget_type(h5::open_attribute(file, name)));
    BOOST_TEST(H5Tis_variable_str(type) == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
