// renas-bench: what the parts of RENAS do and how fast, in figures.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "bench.h"
#include "renas/error.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Measures the parts of RENAS: how well strategies search, how fast"
      " networks train, how fast pictures are loaded."};
  app.require_subcommand(1);
  add_data_bench(app);
  add_search_bench(app);
  add_train_bench(app);
#ifdef RENAS_WITH_ONEDNN
  add_kernels_bench(app);
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const renas::InvalidInput& error) {
    std::fprintf(stderr, "renas-bench: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "renas-bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
