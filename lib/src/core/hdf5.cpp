#include "core/hdf5.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>

#include "core/files.h"
#include "core/hdf5_driver.h"
#include "renas/error.h"

namespace renas::h5 {
namespace {

std::recursive_mutex& process_lock() {
  static std::recursive_mutex lock;
  return lock;
}

std::string file_of(hid_t location) {
  char name[4096] = "";
  if (H5Fget_name(location, name, sizeof name) < 0) return "HDF5 file";
  return final_name(name);
}

herr_t keep_innermost(unsigned n, const H5E_error2_t* entry, void* data) {
  auto& text = *static_cast<std::string*>(data);
  if (n == 0 && entry->desc != nullptr) text = entry->desc;
  return 0;
}

std::vector<hsize_t> to_hsize(const std::vector<int64_t>& dims) {
  return {dims.begin(), dims.end()};
}

Space make_space(const std::vector<int64_t>& dims, const std::vector<hsize_t>& maximum = {}) {
  const auto now = to_hsize(dims);
  return Space(H5Screate_simple(static_cast<int>(now.size()), now.data(),
                                maximum.empty() ? nullptr : maximum.data()));
}

/// The HDF5 type of UTF-8 strings of `width` bytes, padded with zeros.
Type string_type(std::size_t width) {
  Type type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type, width);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

// HDF5 locks files by default, which fails on some network file systems. Nothing here needs it:
// files are written beside their name by one process and never changed.
Properties access(File::Driver& driver) {
  Properties properties(H5Pcreate(H5P_FILE_ACCESS));
#if H5_VERSION_GE(1, 12, 1) || (H5_VERS_MINOR == 10 && H5_VERS_RELEASE >= 7)
  H5Pset_file_locking(properties, false, true);
#endif
  driver.id = Handle<H5FDunregister>(use_driver(properties, driver.failure));
  return properties;
}

std::string name_of(hid_t object) {
  char name[1024] = "";
  H5Iget_name(object, name, sizeof name);
  return name;
}

/// Throws IoError if the data set is compressed by a filter that this HDF5 does not have.
void check_filters(hid_t dataset) {
  // Names registered with The HDF Group, for writers that stored none.
  static const std::map<H5Z_filter_t, std::string> known_names{
      {4, "szip"},           {307, "bzip2"}, {32000, "lzf"},  {32001, "blosc"}, {32004, "lz4"},
      {32008, "bitshuffle"}, {32013, "zfp"}, {32015, "zstd"}, {32026, "blosc2"}};
  const Properties properties(H5Dget_create_plist(dataset));
  const int count = H5Pget_nfilters(properties);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    std::size_t values = 0;
    char name[64] = "";
    const H5Z_filter_t filter = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags,
                                               &values, nullptr, sizeof name, name, nullptr);
    if (filter < 0 || H5Zfilter_avail(filter) > 0) continue;
    const auto known = known_names.find(filter);
    throw IoError(fmt::format(
        "{}: data set '{}' is compressed by the filter {} (number {}), which the HDF5 library here "
        "does not have; where it was made, write it again with gzip or without compression",
        file_of(dataset), name_of(dataset),
        known != known_names.end() ? known->second : std::string(name), filter));
  }
}

/// Throws IoError if parts of the data set have no place in the file.
void check_allocated(hid_t dataset) {
  const Properties properties(H5Dget_create_plist(dataset));
  const H5D_layout_t layout = H5Pget_layout(properties);
  const Description shape = describe(dataset);
  if (shape.size() == 0 || layout == H5D_COMPACT) return;
  const auto refuse = [dataset](const std::string& why) {
    throw IoError(fmt::format("{}: data set '{}' {}", file_of(dataset), name_of(dataset), why));
  };
  if (layout == H5D_CHUNKED) {
    std::vector<hsize_t> chunk(shape.dims.size());
    H5Pget_chunk(properties, static_cast<int>(chunk.size()), chunk.data());
    hsize_t expected = 1;
    for (std::size_t d = 0; d < chunk.size(); ++d) {
      expected *= (static_cast<hsize_t>(shape.dims[d]) + chunk[d] - 1) / chunk[d];
    }
    hsize_t found = 0;
    const Space space(H5Dget_space(dataset));
    if (H5Dget_num_chunks(dataset, space, &found) < 0) fail(dataset, "count the chunks");
    if (found != expected) {
      refuse(
          fmt::format("has {} of its {} chunks, and the rest would read as zeros; the file is "
                      "damaged: copy or make it again",
                      found, expected));
    }
  } else if (layout == H5D_CONTIGUOUS && H5Pget_external_count(properties) == 0) {
    if (H5Dget_storage_size(dataset) == 0) {
      refuse(
          "was never written and would read as zeros; the file is damaged: copy or make it again");
    }
  } else {
    refuse("lies in other files; copy it into one file, for example by h5repack");
  }
}

// Chooses chunks of about a quarter of a MiB, cut along the first dimension.
std::vector<int64_t> chunk_for(const std::vector<int64_t>& dims, std::size_t value_bytes) {
  int64_t row = static_cast<int64_t>(value_bytes);
  for (std::size_t i = 1; i < dims.size(); ++i) row *= dims[i];
  std::vector<int64_t> chunk = dims;
  chunk[0] = std::clamp<int64_t>((int64_t{1} << 18) / row, 1, dims[0]);
  return chunk;
}

}  // namespace

Properties creation(hid_t of_what) {
  constexpr unsigned kMostInHeader = 10000;
  Properties properties(H5Pcreate(of_what));
  H5Pset_obj_track_times(properties, false);
  H5Pset_attr_phase_change(properties, kMostInHeader, 0);
  // HDF5 1.10 crashes when the heap that it keeps many links in cannot be read.
  if (of_what != H5P_DATASET_CREATE) H5Pset_link_phase_change(properties, kMostInHeader, 0);
  return properties;
}

Guard::Guard() : lock_(process_lock()) {
  H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Guard::~Guard() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &text);
  // HDF5 reports failed writes as "..., errno = 28, error message = 'No space left on device', buf
  // = ...".
  const std::string key = "error message = '";
  const auto begin = text.find(key);
  if (begin == std::string::npos) return text;
  const auto end = text.find('\'', begin + key.size());
  return text.substr(begin + key.size(), end == std::string::npos ? end : end - begin - key.size());
}

namespace {

/// Throws as fail() does, for a caller that took HDF5's reason before another call cleared it.
[[noreturn]] void fail_for(hid_t location, const std::string& what, std::string why) {
  const std::string unwritten = driver_failure(location);
  if (!unwritten.empty()) why = unwritten;
  throw IoError(
      fmt::format("{}: cannot {}{}{}", file_of(location), what, why.empty() ? "" : ": ", why));
}

}  // namespace

void fail(hid_t location, const std::string& what) { fail_for(location, what, reason()); }

void check_written(hid_t location, const std::string& what) {
  const Guard guard;
  const std::string why = driver_failure(location);
  if (!why.empty()) throw IoError(fmt::format("{}: cannot {}: {}", file_of(location), what, why));
}

File open_file(const std::string& path) {
  const Guard guard;
  auto driver = std::make_unique<File::Driver>();
  const Properties properties = access(*driver);
  Handle<H5Fclose> file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, properties));
  if (file >= 0) return {std::move(file), std::move(driver)};
  const std::string why = reason();
  if (std::filesystem::is_directory(path)) {
    throw IoError(fmt::format("{}: a folder; expected an HDF5 file", final_name(path)));
  }
  if (why.find("truncated") != std::string::npos) {
    throw IoError(fmt::format("{}: the file is truncated ({}); copy or make it again",
                              final_name(path), why));
  }
  if (why.find("signature") != std::string::npos) {
    throw IoError(fmt::format("{}: not an HDF5 file", final_name(path)));
  }
  throw IoError(fmt::format("{}: cannot open: {}", final_name(path), why));
}

File create_file(const std::string& path) {
  const Guard guard;
  auto driver = std::make_unique<File::Driver>();
  const Properties properties = access(*driver);
  H5Pset_libver_bounds(properties, H5F_LIBVER_V110, H5F_LIBVER_V110);
  const Properties created = creation(H5P_FILE_CREATE);
  Handle<H5Fclose> file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, created, properties));
  if (file < 0) {
    throw IoError(fmt::format("{}: cannot create: {}", final_name(path),
                              driver->failure.empty() ? reason() : driver->failure));
  }
  return {std::move(file), std::move(driver)};
}

void close_file(File file) {
  const Guard guard;
  if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) fail(file, "write");
  const std::string name = file_of(file);
  if (!file.close()) throw IoError(fmt::format("{}: cannot close: {}", name, reason()));
  if (!file.failure().empty()) {
    throw IoError(fmt::format("{}: cannot write: {}", name, file.failure()));
  }
}

namespace {

void verify_group(hid_t group) {
  for (const std::string& name : children(group)) {
    if (is_group(group, name)) {
      verify_group(open_group(group, name));
      continue;
    }
    const Dataset dataset = open_dataset(group, name);
    const Type type(H5Dget_type(dataset));
    std::vector<char> bytes(describe(dataset).size() * H5Tget_size(type));
    read_raw(dataset, type, bytes.data());
  }
}

}  // namespace

void verify_file(const std::string& path) {
  const Guard guard;
  verify_group(open_file(path));
}

bool exists(hid_t location, const std::string& name) {
  const Guard guard;
  const htri_t found = H5Lexists(location, name.c_str(), H5P_DEFAULT);
  if (found < 0) fail(location, "look for '" + name + "'");
  return found > 0;
}

Group create_group(hid_t location, const std::string& name) {
  const Guard guard;
  const Properties created = creation(H5P_GROUP_CREATE);
  return Group(check(H5Gcreate2(location, name.c_str(), H5P_DEFAULT, created, H5P_DEFAULT),
                     location, "create group '" + name + "'"));
}

Group open_group(hid_t location, const std::string& name) {
  const Guard guard;
  return Group(
      check(H5Gopen2(location, name.c_str(), H5P_DEFAULT), location, "find group '" + name + "'"));
}

std::vector<std::string> children(hid_t group) {
  const Guard guard;
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) < 0) fail(group, "list");
  return names;
}

bool is_group(hid_t location, const std::string& name) {
  const Guard guard;
  H5O_info_t info;
#if H5_VERSION_GE(1, 12, 0)
  const herr_t found =
      H5Oget_info_by_name3(location, name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT);
#else
  const herr_t found = H5Oget_info_by_name(location, name.c_str(), &info, H5P_DEFAULT);
#endif
  if (found < 0) fail(location, "look at '" + name + "'");
  return info.type == H5O_TYPE_GROUP;
}

Dataset open_dataset(hid_t location, const std::string& name) {
  const Guard guard;
  Dataset dataset(check(H5Dopen2(location, name.c_str(), H5P_DEFAULT), location,
                        "find data set '" + name + "'"));
  check_filters(dataset);
  check_allocated(dataset);
  return dataset;
}

Description describe(hid_t dataset) {
  constexpr int64_t kMostElements = int64_t{1} << 48;
  const Guard guard;
  const Space space(check(H5Dget_space(dataset), dataset, "read the shape of a data set"));
  const Type type(check(H5Dget_type(dataset), dataset, "read the type of a data set"));
  Description result;
  result.type = H5Tget_class(type);
  std::vector<hsize_t> dims(H5Sget_simple_extent_ndims(space));
  H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  result.dims.assign(dims.begin(), dims.end());
  int64_t left = kMostElements;
  for (const hsize_t length : dims) {
    if (length > static_cast<hsize_t>(left)) {
      throw IoError(fmt::format("{}: data set '{}' has dimensions {}; the file is damaged",
                                file_of(dataset), name_of(dataset), fmt::join(dims, " x ")));
    }
    if (length > 0) left /= static_cast<int64_t>(length);
  }
  return result;
}

Dataset create_dataset(hid_t location, const std::string& name, hid_t type,
                       const std::vector<int64_t>& dims, const std::vector<int64_t>& chunk,
                       const std::vector<hsize_t>& maximum) {
  const Guard guard;
  const std::string what = "create data set '" + name + "'";
  const Space space = make_space(dims, maximum);
  check(space, location, what);
  const Properties properties = creation(H5P_DATASET_CREATE);
  const auto lengths = to_hsize(chunk);
  if (H5Pset_chunk(properties, static_cast<int>(lengths.size()), lengths.data()) < 0 ||
      H5Pset_fletcher32(properties) < 0) {
    fail(location, what);
  }
  return Dataset(
      check(H5Dcreate2(location, name.c_str(), type, space, H5P_DEFAULT, properties, H5P_DEFAULT),
            location, what));
}

void write_raw(hid_t location, const std::string& name, hid_t type, const void* values,
               const std::vector<int64_t>& dims) {
  const Guard guard;
  const std::string what = "write data set '" + name + "'";
  if (dims.empty() || std::find(dims.begin(), dims.end(), 0) != dims.end()) {
    const Space space = make_space(dims);
    const Properties created = creation(H5P_DATASET_CREATE);
    Dataset dataset(
        check(H5Dcreate2(location, name.c_str(), type, space, H5P_DEFAULT, created, H5P_DEFAULT),
              location, what));
    if (dims.empty() && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
      fail(location, what);
    }
    return close(dataset, location, what);
  }
  Dataset dataset = create_dataset(location, name, type, dims, chunk_for(dims, H5Tget_size(type)));
  if (H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) fail(location, what);
  close(dataset, location, what);
}

void read_raw(hid_t dataset, hid_t type, void* values) {
  const Guard guard;
  if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0) return;
  const std::string why = reason();
  fail_for(dataset, fmt::format("read data set '{}'", name_of(dataset)), why);
}

void write_strings(hid_t location, const std::string& name,
                   const std::vector<std::string>& values) {
  // The strings have one length and are padded with zeros, because HDF5 cannot checksum strings of
  // varying length.
  std::size_t width = 1;
  for (const std::string& value : values) width = std::max(width, value.size());
  std::vector<char> bytes(values.size() * width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::copy(values[i].begin(), values[i].end(),
              bytes.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
  const Guard guard;
  write_raw(location, name, string_type(width), bytes.data(),
            {static_cast<int64_t>(values.size())});
}

std::vector<std::string> read_strings(hid_t location, const std::string& name) {
  const Guard guard;
  const Dataset dataset = open_dataset(location, name);
  const Description description = describe(dataset);
  if (description.type != H5T_STRING) fail(location, "read '" + name + "' as strings");
  const std::size_t count = description.size();
  const Type stored(H5Dget_type(dataset));
  std::vector<std::string> values;
  if (H5Tis_variable_str(stored) > 0) {
    // The strings are read in the stored character set, because HDF5 does not convert between ASCII
    // and UTF-8.
    const Type type = string_type(H5T_VARIABLE);
    H5Tset_cset(type, H5Tget_cset(stored));
    std::vector<char*> pointers(count, nullptr);
    read_raw(dataset, type, pointers.data());
    for (const char* text : pointers) values.emplace_back(text == nullptr ? "" : text);
    const Space space(H5Dget_space(dataset));
    if (count > 0) H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  } else {
    const std::size_t width = H5Tget_size(stored);
    std::vector<char> bytes(count * width);
    read_raw(dataset, stored, bytes.data());
    for (std::size_t i = 0; i < count; ++i) {
      const char* text = bytes.data() + i * width;
      values.emplace_back(text, strnlen(text, width));
    }
  }
  return values;
}

bool has_attribute(hid_t location, const std::string& name) {
  const Guard guard;
  const htri_t found = H5Aexists(location, name.c_str());
  if (found < 0) fail(location, "look for attribute '" + name + "'");
  return found > 0;
}

void write_attribute_raw(hid_t location, const std::string& name, hid_t type, const void* values,
                         int64_t count) {
  const Guard guard;
  const std::string what = "write attribute '" + name + "'";
  const auto length = static_cast<hsize_t>(std::max<int64_t>(count, 0));
  const Space space(count < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &length, nullptr));
  Attribute attribute(check(
      H5Acreate2(location, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), location, what));
  if (count != 0 && H5Awrite(attribute, type, values) < 0) fail(location, what);
  close(attribute, location, what);
}

void write_attribute(hid_t location, const std::string& name, const std::string& value) {
  const Guard guard;
  const std::string text = value.empty() ? std::string(1, '\0') : value;
  write_attribute_raw(location, name, string_type(text.size()), text.data(), -1);
}

Attribute open_attribute(hid_t location, const std::string& name) {
  const Guard guard;
  return Attribute(check(H5Aopen(location, name.c_str(), H5P_DEFAULT), location,
                         "find attribute '" + name + "'"));
}

int64_t attribute_size(hid_t attribute) {
  const Guard guard;
  const Space space(check(H5Aget_space(attribute), attribute, "read the shape of an attribute"));
  const auto size = static_cast<int64_t>(H5Sget_simple_extent_npoints(space));
  // No attribute is larger than the bytes that the file stores for it.
  if (size < 0 || (size > 0 && H5Aget_storage_size(attribute) / static_cast<hsize_t>(size) == 0)) {
    fail(attribute, "read an attribute: its shape is damaged");
  }
  return size;
}

void read_attribute_raw(hid_t attribute, hid_t type, void* values, std::size_t size) {
  const Guard guard;
  if (size > 0 && H5Aread(attribute, type, values) < 0) fail(attribute, "read an attribute");
}

std::string read_string_attribute(hid_t location, const std::string& name) {
  const Guard guard;
  const Attribute attribute = open_attribute(location, name);
  const Type stored(H5Aget_type(attribute));
  if (H5Tget_class(stored) != H5T_STRING || attribute_size(attribute) != 1) {
    fail(location, "read attribute '" + name + "' as a string");
  }
  if (H5Tis_variable_str(stored) > 0) {
    char* text = nullptr;
    read_attribute_raw(attribute, stored, &text, 1);
    std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
  }
  std::string value(H5Tget_size(stored), '\0');
  read_attribute_raw(attribute, stored, value.data(), 1);
  value.resize(strnlen(value.data(), value.size()));
  return value;
}

}  // namespace renas::h5
