// What ptxas says of every kernel: no spills, a block's registers fit into a multiprocessor, static
// shared memory fits. Faults of these kinds show on a card only, as slowness or as launches that
// fail.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "support/process.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
using renas::test::Ran;

namespace {

struct Kernel {
  int registers = 0;
  int spilled_bytes = 0;
  int shared_bytes = 0;
  int threads = 1024;  ///< a block's most, unless launch bounds say less
};

/// Kernels by their mangled names, as `nvcc -Xptxas -v` reports them.
std::map<std::string, Kernel> read_report(const std::string& report) {
  static const std::regex entry("Compiling entry function '([^']+)'");
  static const std::regex spills("([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads");
  static const std::regex used("Used ([0-9]+) registers");
  static const std::regex shared("([0-9]+) bytes smem");
  std::map<std::string, Kernel> kernels;
  Kernel* kernel = nullptr;
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (std::regex_search(line, found, entry)) kernel = &kernels[found[1]];
    if (kernel == nullptr) continue;
    if (std::regex_search(line, found, spills)) {
      kernel->spilled_bytes = std::stoi(found[1]) + std::stoi(found[2]);
    }
    if (std::regex_search(line, found, used)) kernel->registers = std::stoi(found[1]);
    if (std::regex_search(line, found, shared)) kernel->shared_bytes = std::stoi(found[1]);
  }
  return kernels;
}

/// Adds the launch bounds, which are in the PTX.
void read_bounds(const fs::path& ptx, std::map<std::string, Kernel>& kernels) {
  static const std::regex entry("\\.entry ([A-Za-z0-9_$]+)");
  static const std::regex bounds("\\.maxntid ([0-9]+)(?:, ([0-9]+))?(?:, ([0-9]+))?");
  Kernel* kernel = nullptr;
  std::ifstream lines(ptx);
  for (std::string line; std::getline(lines, line);) {
    std::smatch found;
    if (std::regex_search(line, found, entry)) kernel = &kernels[found[1]];
    if (kernel == nullptr || !std::regex_search(line, found, bounds)) continue;
    kernel->threads = 1;
    for (std::size_t i = 1; i < found.size(); ++i) {
      if (found[i].matched) kernel->threads *= std::stoi(found[i]);
    }
  }
}

std::string problem_of(const Kernel& k) {
  std::ostringstream text;
  if (k.registers == 0) text << "ptxas did not report it; ";
  if (k.spilled_bytes > 0) text << k.spilled_bytes << " bytes are spilled; ";
  if (k.registers * k.threads > 65536) {
    text << k.registers << " registers in each of " << k.threads
         << " threads are more than 65,536; ";
  }
  if (k.shared_bytes > 48 << 10) text << k.shared_bytes << " bytes of static shared memory; ";
  return text.str();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ptxas)

BOOST_AUTO_TEST_CASE(the_reports_lines_are_understood) {
  const auto kernels = read_report(
      "ptxas info    : Compiling entry function '_Z1fv' for 'sm_90'\n"
      "ptxas info    : Function properties for _Z1fv\n"
      "    8 bytes stack frame, 12 bytes spill stores, 4 bytes spill loads\n"
      "ptxas info    : Used 80 registers, used 1 barriers, 50000 bytes smem, 384 bytes cmem[0]\n");
  BOOST_REQUIRE(kernels.size() == 1U);
  const Kernel& f = kernels.at("_Z1fv");
  BOOST_TEST(f.registers == 80);
  BOOST_TEST(f.spilled_bytes == 16);
  BOOST_TEST(f.shared_bytes == 50000);
  const std::string problem = problem_of(f);
  for (const char* part : {"16 bytes are spilled", "80 registers", "50000 bytes of static"}) {
    BOOST_TEST(problem.find(part) != std::string::npos, problem);
  }
  BOOST_TEST(problem_of({64, 0, 48 << 10, 1024}).empty());
}

BOOST_AUTO_TEST_CASE(no_kernel_spills_or_asks_for_too_much) {
  int checked = 0;
  for (const auto& file : fs::directory_iterator(RENAS_KERNELS)) {
    if (file.path().extension() != ".cu") continue;
    for (const char* architecture : {"80", "90"}) {
      const renas::test::TemporaryFolder folder;
      const std::string& in = folder.path();
      const Ran ran = renas::test::run_command(
          std::string(RENAS_NVCC) + " -std=c++20 -O3 -I" + RENAS_SOURCES + " -I" + RENAS_HEADERS +
          " -arch=sm_" + architecture + " -Xptxas -v --keep --keep-dir " + in + " -cubin -o " + in +
          "/kernels.cubin " + file.path().string());
      BOOST_REQUIRE_MESSAGE(ran.code == 0, ran.output);
      auto kernels = read_report(ran.output);
      for (const auto& kept : fs::directory_iterator(folder.path())) {
        if (kept.path().extension() == ".ptx") read_bounds(kept.path(), kernels);
      }
      for (const auto& [name, kernel] : kernels) {
        const std::string problem = problem_of(kernel);
        BOOST_TEST(problem.empty(), file.path().filename().string()
                                        << ", sm_" << architecture << ", " << name << ": "
                                        << problem);
        ++checked;
      }
    }
  }
  BOOST_TEST(checked > 20);
}

BOOST_AUTO_TEST_SUITE_END()
