// Who may include whom (lib/src/README.md): the arrows between folders never turn back, nor do
// those between the rooms of a folder, and outside libraries are seen only where they are used.

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

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
    {"predict", {"store", "train", "backend", "graph", "data", "genome", "core"}},
    {"export", {"store", "search", "train", "data", "graph", "genome", "core"}},
    {"c", {"predict", "store", "search", "data", "genome", "core"}},
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
    {"architecture", "graph"},
    {"network", "graph"},
    {"zoo", "graph"},
    {"status", "core"},
    {"strategy", "search"},
    {"controller", "search"},
    {"objective", "search"},
    {"renas", "c"},
    {"backend", "backend"},
    {"device_link", "backend"},
    {"dataset", "data"},
    {"dataset_writer", "data"},
    {"image", "data"},
    {"loader", "data"},
    {"communicator", "train"},
    {"training", "train"},
    {"evaluation", "train"},
    {"segmentation", "train"},
    {"model", "store"},
    {"predictor", "predict"},
    {"export", "export"},
    {"drawing", "export"},
    {"report", "export"},
    {"run_directory", "store"},
    {"run_result", "store"},
    {"run_view", "store"},
    {"transport", "cluster"},
    {"mpi_transport", "cluster"},
    {"list_training", "cluster"},
    {"search_run", "cluster"},
    {"search_plan", "cluster"},
    {"replay", "cluster"},
};

/// Who may include whom within a folder that has rooms: each room, and what of its own folder it
/// may include beside itself. Rooms that are not listed, such as backend/cpu/groups, belong to the
/// room around them. backend/registry.cpp names all backends and is exempt.
const std::map<std::string, std::set<std::string>> kRooms{
    {"search", {"search/controller", "search/critic", "search/objectives"}},
    {"search/controller", {"search", "search/critic"}},
    {"search/critic", {"search"}},
    {"search/objectives", {"search"}},
    {"backend", {}},
    {"backend/plan", {"backend"}},
    {"backend/reference", {"backend"}},
    {"backend/cpu", {"backend", "backend/plan"}},
    {"backend/cudnn", {"backend", "backend/plan"}},
};
const fs::path kRegistry = "backend/registry.cpp";

/// Headers of outside libraries, by their name or its first folder, and the only places of lib/src
/// that may see them.
const std::map<std::string, std::set<std::string>> kVendor{
    {"mpi.h", {"cluster"}},
    {"hdf5.h", {"core"}},  // the one wrapper that data and store use
    {"zlib.h", {"core", "data"}},
    {"jpeglib.h", {"data"}},
    {"png.h", {"data"}},
    {"nlohmann", {"store", "cluster", "export"}},
    {"onnx", {"export"}},
    {"graphviz", {"export"}},
    {"Eigen", {"search"}},
    {"hwy", {"backend/cpu/kernels"}},
    {"oneapi", {"backend/cpu/onednn"}},
    {"omp.h", {"backend/cpu/onednn"}},
    {"cuda_runtime.h", {"backend/cudnn/kernels"}},
    {"cuda_runtime_api.h", {"backend/cudnn"}},
    {"cudnn_graph.h", {"backend/cudnn"}},
    {"cudnn_version.h", {"backend/cudnn"}},
};

/// The entry of `places` that is `path` or a folder around it, the innermost; empty where none is.
template <class Places>
std::string innermost(const Places& places, fs::path path) {
  for (; !path.empty(); path = path.parent_path()) {
    if (places.contains(path.string())) return path.string();
  }
  return "";
}

std::string folder_of_public_header(const std::string& name) {
  const auto found = kFolderOfHeader.find(name);
  BOOST_REQUIRE_MESSAGE(
      found != kFolderOfHeader.end(),
      "renas/" << name << ".h: say in layers_test.cpp which folder it belongs to");
  return found->second;
}

/// The headers that `file` includes.
std::vector<std::string> includes_of(const fs::path& file) {
  static const std::regex include(R"re(^\s*#\s*include\s*["<]([^">]+)[">])re");
  std::vector<std::string> headers;
  std::ifstream in(file);
  std::smatch match;
  for (std::string line; std::getline(in, line);) {
    if (std::regex_search(line, match, include)) headers.push_back(match[1]);
  }
  return headers;
}

/// `place`: the file's path within lib/src; for a public header, within the folder it belongs to.
void check_file(const fs::path& file, const fs::path& place, int& checked) {
  const std::string folder = place.begin()->string();
  const std::string room = innermost(kRooms, place.parent_path());
  for (const std::string& header : includes_of(file)) {
    const std::string first = header.substr(0, header.find('/'));
    if (const auto vendor = kVendor.find(first); vendor != kVendor.end()) {
      ++checked;
      BOOST_TEST(!innermost(vendor->second, place.parent_path()).empty(),
                 file.string() << " includes " << header);
      continue;
    }
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
    if (target == folder && first != "renas" && !room.empty() && place != kRegistry) {
      const std::string other = innermost(kRooms, fs::path(header).parent_path());
      BOOST_TEST((other == room || kRooms.at(room).contains(other)),
                 file.string() << " (" << room << ") includes " << header << " of " << other);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(arrows_between_folders_never_turn_back) {
  int checked = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kLibrary)) {
    const fs::path file = entry.path();
    if (file.extension() != ".h" && file.extension() != ".cpp" && file.extension() != ".cu") {
      continue;
    }
    const fs::path inside = fs::relative(file, kLibrary);
    const fs::path place =
        *inside.begin() == "include"
            ? fs::path(folder_of_public_header(file.stem().string())) / file.filename()
            : fs::relative(inside, "src");
    const std::string folder = place.begin()->string();
    BOOST_REQUIRE_MESSAGE(kMayKnow.contains(folder), "unknown folder " << folder);
    check_file(file, place, checked);
  }
  BOOST_TEST(checked > 100);  // the pattern still finds includes
}
