// Who may include whom (README, "Layout"): the arrows between folders never turn back.

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace fs = std::filesystem;

namespace {

const fs::path kLibrary = RENAS_SOURCE_DIR "/lib";

/// What each folder may include beside itself. A public header belongs to the folder that
/// implements it.
const std::map<std::string, std::set<std::string>> kMayKnow{
    {"core", {}},
    {"genome", {"core"}},
    {"graph", {"genome", "core"}},
    {"search", {"genome", "core"}},
    {"backend", {"graph", "core"}},
    {"data", {"core"}},
    {"train", {"backend", "graph", "data", "genome", "core"}},
    {"store", {"train", "backend", "graph", "data", "genome", "search", "core"}},
    {"c", {"store", "search", "genome", "core"}},
    {"cluster", {"store", "train", "backend", "graph", "data", "genome", "search", "core"}},
};

/// The folder of each public header.
const std::map<std::string, std::string> kFolderOfHeader{
    {"error", "core"},
    {"log", "core"},
    {"random", "core"},
    {"state", "core"},
    {"tensor", "core"},
    {"genome", "genome"},
    {"search_space", "genome"},
    {"graph", "graph"},
    {"network", "graph"},
    {"status", "core"}, {"strategy", "search"},
    {"controller", "search"},
    {"objective", "search"},
    {"renas", "c"},
    {"backend", "backend"},
    {"dataset", "data"},
    {"dataset_writer", "data"},
    {"image", "data"},
    {"loader", "data"},
    {"training", "train"},
    {"evaluation", "train"},
    {"model", "store"},
    {"run_directory", "store"},
    {"transport", "cluster"},
    {"mpi_transport", "cluster"},
    {"search_run", "cluster"},
};

/// Headers of outside libraries that only some folders may see.
const std::map<std::string, std::set<std::string>> kVendor{
    {"mpi.h", {"cluster"}},
    {"hdf5.h", {"core", "data", "store"}},  // core: the one wrapper both use
    {"oneapi/dnnl/dnnl.hpp", {"backend"}},
};

std::string folder_of_public_header(const std::string& name) {
  const auto found = kFolderOfHeader.find(name);
  BOOST_REQUIRE_MESSAGE(
      found != kFolderOfHeader.end(),
      "renas/" << name << ".h: say in layers_test.cpp which folder it belongs to");
  return found->second;
}

void check_file(const fs::path& file, const std::string& folder, int& checked) {
  static const std::regex include(R"re(^\s*#\s*include\s*["<]([^">]+)[">])re");
  std::ifstream in(file);
  std::smatch match;
  for (std::string line; std::getline(in, line);) {
    if (!std::regex_search(line, match, include)) {
      continue;
    }
    const std::string header = match[1];
    if (const auto vendor = kVendor.find(header); vendor != kVendor.end()) {
      BOOST_TEST(vendor->second.contains(folder), file.string() << " includes " << header);
      continue;
    }
    const std::string first = header.substr(0, header.find('/'));
    std::string target;
    if (first == "renas") {
      target = folder_of_public_header(fs::path(header).stem().string());
    } else if (kMayKnow.contains(first)) {
      target = first;
    } else {
      continue;
    }
    ++checked;
    BOOST_TEST((target == folder || kMayKnow.at(folder).contains(target)),
               file.string() << " (" << folder << ") includes " << header << " of " << target);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(arrows_between_folders_never_turn_back) {
  int checked = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kLibrary)) {
    const fs::path file = entry.path();
    if (file.extension() != ".h" && file.extension() != ".cpp") {
      continue;
    }
    const fs::path inside = fs::relative(file, kLibrary);
    const std::string folder = *inside.begin() == "include"
                                   ? folder_of_public_header(file.stem().string())
                                   : std::next(inside.begin())->string();
    BOOST_REQUIRE_MESSAGE(kMayKnow.contains(folder), "unknown folder " << folder);
    check_file(file, folder, checked);
  }
  BOOST_TEST(checked > 100);  // the pattern still finds includes
}
