#pragma once

// Included by data and store only; compiled where RENAS_WITH_HDF5 is on.

#include <hdf5.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace renas::h5 {

/// The lock around every use of HDF5. Many builds of HDF5 are not thread-safe, so a process has one
/// lock; it is recursive, and the functions below take it too. While it is held, HDF5 prints no
/// errors by itself; the host program's own setting comes back afterwards.
class Guard {
 public:
  Guard();
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

/// Owns an HDF5 identifier. The destructor ignores failures, which is right for objects that were
/// only read. A writer calls h5::close(), which reports them.
template <herr_t (*kClose)(hid_t)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() {
    if (id_ < 0) return;
    const Guard guard;
    kClose(id_);
  }
  operator hid_t() const { return id_; }  // NOLINT: stands for its hid_t everywhere

  bool close() { return kClose(std::exchange(id_, -1)) >= 0; }

 private:
  hid_t id_ = -1;
};
using Group = Handle<H5Gclose>;
using Dataset = Handle<H5Dclose>;
using Space = Handle<H5Sclose>;
using Type = Handle<H5Tclose>;
using Attribute = Handle<H5Aclose>;
using Properties = Handle<H5Pclose>;

/// An open file. A file for writing is whole only after close_file(); one that is destroyed before
/// is closed in order, but may lack what could not be written.
class File {
 public:
  /// What a file needs from before it is opened until after it is closed (core/hdf5_driver.h).
  struct Driver {
    std::string failure;
    Handle<H5FDunregister> id;
  };

  File() = default;
  File(Handle<H5Fclose> handle, std::unique_ptr<Driver> driver)
      : driver_(std::move(driver)), handle_(std::move(handle)) {}
  File(File&&) noexcept = default;
  File& operator=(File&& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  operator hid_t() const { return handle_; }  // NOLINT: stands for its hid_t everywhere
  bool close() { return handle_.close(); }
  /// Why bytes could not be written (core/hdf5_driver.h); empty: all were.
  const std::string& failure() const { return driver_->failure; }

 private:
  std::unique_ptr<Driver> driver_;  // outlives the handle
  Handle<H5Fclose> handle_;
};

/// Throws IoError "FILE: cannot WHAT: reason"; `location` is any open object of the file. The
/// reason is the system's, where bytes could not be written, else HDF5's.
[[noreturn]] void fail(hid_t location, const std::string& what);
/// Throws as fail() does if bytes of the file of `location` could not be written: HDF5 itself does
/// not notice (core/hdf5_driver.h). Call it after whatever may write.
void check_written(hid_t location, const std::string& what);
/// HDF5's own reason for the last failure, from the innermost call, such as "No space left on
/// device".
std::string reason();
/// Returns `id` unless it is negative, which throws as fail() does.
inline hid_t check(hid_t id, hid_t location, const std::string& what) {
  if (id < 0) fail(location, what);
  return id;
}

/// Closes an HDF5 object that was written. Throws as fail() does.
template <class Object>
void close(Object& object, hid_t location, const std::string& what) {
  if (!object.close()) fail(location, what);
  check_written(location, what);
}

/// Opens a file for reading. Throws IoError where it is missing, not HDF5 or truncated.
File open_file(const std::string& path);
/// Creates or replaces a file. Write to a PendingFile's partial(). Objects are of the format of
/// HDF5 1.10, whose metadata has checksums.
File create_file(const std::string& path);
/// Flushes and closes a file. Throws IoError where bytes could not be written, as on a full disk.
void close_file(File file);
/// Opens a file that was just written and reads every data set in it. Throws IoError where one
/// lacks chunks or its checksums do not hold.
void verify_file(const std::string& path);

bool exists(hid_t location, const std::string& name);  ///< IoError where that cannot be read
Group create_group(hid_t location, const std::string& name);
Group open_group(hid_t location, const std::string& name);  ///< IoError where there is none
std::vector<std::string> children(hid_t group);             ///< names, sorted
bool is_group(hid_t location, const std::string& name);

template <class T>
hid_t type_of() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, int8_t>) return H5T_NATIVE_INT8;
  if constexpr (std::is_same_v<T, uint8_t>) return H5T_NATIVE_UINT8;
  if constexpr (std::is_same_v<T, int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, uint32_t>) return H5T_NATIVE_UINT32;
  if constexpr (std::is_same_v<T, int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, uint64_t>) return H5T_NATIVE_UINT64;
  return -1;
}

/// The length of each dimension of a data set, and its class of type.
struct Description {
  std::vector<int64_t> dims;
  H5T_class_t type = H5T_NO_CLASS;
  int64_t size() const {
    int64_t n = 1;
    for (const int64_t d : dims) n *= d;
    return n;
  }
};
/// Opens a data set. Throws IoError where there is none, where parts of it were never written,
/// which would read as zeros, where it lies in other files, or where this HDF5 lacks its filter.
Dataset open_dataset(hid_t location, const std::string& name);
/// Reads the dimensions and type of a data set. Throws IoError where the dimensions are too large
/// for any file.
Description describe(hid_t dataset);

/// A list of properties of new objects, such as H5P_DATASET_CREATE: without times, so that equal
/// content makes equal files, and with all attributes and links in the object's header.
Properties creation(hid_t of_what);
/// A new data set for chunked writing, fletcher32 in every chunk; `maximum` gives the largest
/// dimensions where it may grow (H5S_UNLIMITED), empty: fixed.
Dataset create_dataset(hid_t location, const std::string& name, hid_t type,
                       const std::vector<int64_t>& dims, const std::vector<int64_t>& chunk,
                       const std::vector<hsize_t>& maximum = {});

// The untyped forms behind the templates below.
void write_raw(hid_t location, const std::string& name, hid_t type, const void* values,
               const std::vector<int64_t>& dims);
void read_raw(hid_t dataset, hid_t type, void* values);
void write_attribute_raw(hid_t location, const std::string& name, hid_t type, const void* values,
                         int64_t count);                            ///< count < 0: a scalar
Attribute open_attribute(hid_t location, const std::string& name);  ///< IoError where there is none

/// Writes a whole new data set, chunked with fletcher32 (empty ones: contiguous).
template <class T>
void write(hid_t location, const std::string& name, std::span<const T> values,
           const std::vector<int64_t>& dims) {
  write_raw(location, name, type_of<T>(), values.data(), dims);
}
template <class T>
void write(hid_t location, const std::string& name, const std::vector<T>& values) {
  write_raw(location, name, type_of<T>(), values.data(), {static_cast<int64_t>(values.size())});
}

/// Reads a whole data set, converted to T. Damaged bytes (fletcher32) throw IoError.
template <class T>
std::vector<T> read(hid_t location, const std::string& name, std::vector<int64_t>* dims = nullptr) {
  const Guard guard;
  const Dataset dataset = open_dataset(location, name);
  const Description description = describe(dataset);
  std::vector<T> values(description.size());
  read_raw(dataset, type_of<T>(), values.data());
  if (dims != nullptr) *dims = description.dims;
  return values;
}

/// Writes UTF-8 strings of one stored length, padded with zeros. read_strings() reads any form.
///
/// HDF5 keeps strings of varying length in a heap without checksums, where a damaged byte may crash
/// or hang it, so none are written.
void write_strings(hid_t location, const std::string& name, const std::vector<std::string>& values);
std::vector<std::string> read_strings(hid_t location, const std::string& name);

bool has_attribute(hid_t location, const std::string& name);  ///< IoError as exists()
template <class T>
void write_attribute(hid_t location, const std::string& name, T value) {
  write_attribute_raw(location, name, type_of<T>(), &value, -1);
}
template <class T>
void write_attribute(hid_t location, const std::string& name, const std::vector<T>& values) {
  write_attribute_raw(location, name, type_of<T>(), values.data(),
                      static_cast<int64_t>(values.size()));
}
void write_attribute(hid_t location, const std::string& name, const std::string& value);
std::string read_string_attribute(hid_t location, const std::string& name);

void read_attribute_raw(hid_t attribute, hid_t type, void* values, std::size_t size);
int64_t attribute_size(hid_t attribute);  ///< number of values
/// Reads all values of an attribute; a scalar gives one.
template <class T>
std::vector<T> read_attributes(hid_t location, const std::string& name) {
  const Guard guard;
  const Attribute attribute = open_attribute(location, name);
  std::vector<T> values(attribute_size(attribute));
  read_attribute_raw(attribute, type_of<T>(), values.data(), values.size());
  return values;
}
/// Reads the one value of an attribute. Throws IoError where the attribute has none or several.
template <class T>
T read_attribute(hid_t location, const std::string& name) {
  const Guard guard;
  const std::vector<T> values = read_attributes<T>(location, name);
  if (values.size() != 1) fail(location, "read attribute '" + name + "' as one value");
  return values[0];
}

}  // namespace renas::h5
