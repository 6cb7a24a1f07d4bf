#include "core/hdf5_driver.h"

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "core/files.h"
#include "core/system_calls.h"

namespace renas::h5 {
namespace {

/// Files up to this size are read whole.
constexpr off_t kMostInMemory = off_t{64} << 20;
constexpr haddr_t kLargestAddress = (haddr_t{1} << 62) - 1;

/// The driver's data in an access list, which HDF5 copies byte by byte.
struct DriverInfo {
  std::string* failure;
};

/// An open file. HDF5 knows it by its first member.
struct DriverFile {
  H5FD_t base{};
  int descriptor = -1;
  struct stat identity {};
  std::string content;  ///< all of a file that was read whole; else empty
  haddr_t end_of_file = 0;
  haddr_t end_of_space = 0;  ///< what HDF5 has given to objects
  std::string* failure = nullptr;
  /// Address and bytes of the writes that failed or came later, in their order.
  std::vector<std::pair<haddr_t, std::string>> unwritten;
};

DriverFile& of(H5FD_t* file) { return *reinterpret_cast<DriverFile*>(file); }
const DriverFile& of(const H5FD_t* file) { return *reinterpret_cast<const DriverFile*>(file); }

/// Puts the system's reason on HDF5's error stack, where reason() finds it.
void push_reason(hid_t minor, int number) {
  H5Epush2(H5E_DEFAULT, __FILE__, "renas", __LINE__, H5E_ERR_CLS, H5E_VFL, minor,
           "error message = '%s'", errno_text(number).c_str());
}

/// Returns 0 or an errno.
int read_whole(DriverFile& file) {
  try {
    file.content.resize(file.identity.st_size);
  } catch (const std::bad_alloc&) {  // which must not pass through HDF5
    return ENOMEM;
  }
  std::size_t got = 0;
  const int failure = read_fully(file.descriptor, file.content.data(), file.content.size(), 0, got);
  file.content.resize(got);
  return failure;
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t access, haddr_t) {
  const auto* info = static_cast<const DriverInfo*>(H5Pget_driver_info(access));
  int mode = (flags & H5F_ACC_RDWR) != 0 ? O_RDWR : O_RDONLY;
  if ((flags & H5F_ACC_TRUNC) != 0) mode |= O_TRUNC;
  if ((flags & H5F_ACC_CREAT) != 0) mode |= O_CREAT;
  if ((flags & H5F_ACC_EXCL) != 0) mode |= O_EXCL;
  auto* file = new (std::nothrow) DriverFile;
  if (info == nullptr || file == nullptr) return nullptr;
  file->failure = info->failure;
  file->descriptor = sys::open(name, mode, 0666);
  int failure = 0;
  if (file->descriptor < 0 || sys::fstat(file->descriptor, &file->identity) != 0) {
    failure = errno;
  } else if (mode == O_RDONLY && file->identity.st_size <= kMostInMemory) {
    failure = read_whole(*file);
  }
  if (failure != 0) {
    push_reason(H5E_CANTOPENFILE, failure);
    if (file->descriptor >= 0) sys::close(file->descriptor);
    delete file;
    return nullptr;
  }
  file->end_of_file = static_cast<haddr_t>(file->identity.st_size);
  return &file->base;
}

herr_t close_file(H5FD_t* file) {
  // A writer syncs by itself, or through another descriptor, so a failed close has nothing to
  // report.
  sys::close(of(file).descriptor);
  delete &of(file);
  return 0;
}

int compare(const H5FD_t* first, const H5FD_t* second) {
  const struct stat& a = of(first).identity;
  const struct stat& b = of(second).identity;
  if (a.st_dev != b.st_dev) return a.st_dev < b.st_dev ? -1 : 1;
  if (a.st_ino != b.st_ino) return a.st_ino < b.st_ino ? -1 : 1;
  return 0;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  if (flags != nullptr) {
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
  }
  return 0;
}

haddr_t get_end_of_space(const H5FD_t* file, H5FD_mem_t) { return of(file).end_of_space; }

herr_t set_end_of_space(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  of(file).end_of_space = address;
  return 0;
}

haddr_t get_end_of_file(const H5FD_t* file, H5FD_mem_t) { return of(file).end_of_file; }

herr_t get_handle(H5FD_t* file, hid_t, void** handle) {
  *handle = &of(file);
  return 0;
}

/// Copies the bytes that could not be written over `bytes`, which were read at `address`.
void lay_over(const DriverFile& file, haddr_t address, std::size_t size, char* bytes) {
  for (const auto& [start, kept] : file.unwritten) {
    const haddr_t from = std::max(start, address);
    const haddr_t to = std::min(start + kept.size(), address + size);
    if (from < to) std::memcpy(bytes + (from - address), kept.data() + (from - start), to - from);
  }
}

herr_t read(H5FD_t* base, H5FD_mem_t, hid_t, haddr_t address, std::size_t size, void* buffer) {
  DriverFile& file = of(base);
  std::size_t got = 0;
  if (!file.content.empty()) {
    if (address < file.content.size()) {
      got = std::min(size, file.content.size() - static_cast<std::size_t>(address));
      std::memcpy(buffer, file.content.data() + address, got);
    }
    std::memset(static_cast<char*>(buffer) + got, 0, size - got);
    return 0;
  }
  const int failure = read_fully(file.descriptor, buffer, size, static_cast<off_t>(address), got);
  if (failure != 0) {
    push_reason(H5E_READERROR, failure);
    return -1;
  }
  // The bytes beyond the end of a file read as zeros.
  std::memset(static_cast<char*>(buffer) + got, 0, size - got);
  lay_over(file, address, size, static_cast<char*>(buffer));
  return 0;
}

void keep(DriverFile& file, haddr_t address, std::size_t size, const void* bytes) {
  try {
    file.unwritten.emplace_back(address, std::string(static_cast<const char*>(bytes), size));
  } catch (const std::bad_alloc&) {  // which must not pass through HDF5; the file is lost anyway
  }
}

herr_t write(H5FD_t* base, H5FD_mem_t, hid_t, haddr_t address, std::size_t size,
             const void* buffer) {
  DriverFile& file = of(base);
  if (file.failure->empty()) {
    const int failure = write_fully(file.descriptor, buffer, size, static_cast<off_t>(address));
    if (failure != 0) *file.failure = errno_text(failure);
  }
  if (!file.failure->empty()) keep(file, address, size, buffer);
  file.end_of_file = std::max(file.end_of_file, address + size);
  return 0;
}

herr_t truncate(H5FD_t* base, hid_t, hbool_t) {
  DriverFile& file = of(base);
  if (file.end_of_file == file.end_of_space) return 0;
  if (file.failure->empty() &&
      sys::ftruncate(file.descriptor, static_cast<off_t>(file.end_of_space)) != 0) {
    *file.failure = errno_text(errno);
  }
  file.end_of_file = file.end_of_space;
  return 0;
}

/// The description of the driver for HDF5; members that are not named stay empty.
H5FD_class_t make_class() {
  H5FD_class_t driver;
  std::memset(&driver, 0, sizeof driver);
#ifdef H5FD_CLASS_VERSION
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(500);  // 256 to 511 are for drivers not registered
#endif
  driver.name = "renas";
  driver.maxaddr = kLargestAddress;
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.fapl_size = sizeof(DriverInfo);
  driver.open = open_file;
  driver.close = close_file;
  driver.cmp = compare;
  driver.query = query;
  driver.get_eoa = get_end_of_space;
  driver.set_eoa = set_end_of_space;
  driver.get_eof = get_end_of_file;
  driver.get_handle = get_handle;
  driver.read = read;
  driver.write = write;
  driver.truncate = truncate;
  const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
  static_assert(sizeof map == sizeof driver.fl_map);
  std::memcpy(driver.fl_map, map, sizeof map);
  return driver;
}

}  // namespace

hid_t use_driver(hid_t properties, std::string& failure) {
  const H5FD_class_t driver = make_class();
  const hid_t id = H5FDregister(&driver);
  const DriverInfo info{&failure};
  H5Pset_driver(properties, id, &info);
  return id;
}

std::string driver_failure(hid_t location) {
  const hid_t file = H5Iget_file_id(location);
  if (file < 0) return "";
  std::string failure;
  void* handle = nullptr;
  const hid_t access = H5Fget_access_plist(file);
  const bool is_ours = access >= 0 && H5Pget_driver_info(access) != nullptr;
  H5Pclose(access);
  if (is_ours && H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) >= 0 && handle != nullptr) {
    failure = *static_cast<DriverFile*>(handle)->failure;
  }
  H5Fclose(file);
  return failure;
}

}  // namespace renas::h5
