#include "backend/cpu/backend.h"

#include <fmt/format.h>

#include <memory>

#include "backend/cpu/kernels/instruction_sets.h"
#include "backend/cpu/onednn/tile_product.h"
#include "backend/cpu/program.h"

namespace renas::cpu {

namespace {

class CpuBackend final : public Backend {
 public:
  std::string name() const override { return "cpu"; }
  std::string description() const override {
    return fmt::format("cpu ({}, oneDNN {} for wide products)", instruction_sets(),
                       TileProduct::library_version());
  }
  Precision precision(Precision wanted) const override { return wanted; }
  std::unique_ptr<Program> compile(const Graph& graph, const ProgramOptions& options) override {
    return std::make_unique<CpuProgram>(graph, options, arena_cache_);
  }
  MemoryEstimate estimate(const Graph& graph, const ProgramOptions& options) const override {
    return {CpuProgram::bytes(graph, options)};
  }

 private:
  const std::shared_ptr<ArenaCache> arena_cache_ = std::make_shared<ArenaCache>();
};

}  // namespace

std::unique_ptr<Backend> make_cpu() { return std::make_unique<CpuBackend>(); }

}  // namespace renas::cpu
