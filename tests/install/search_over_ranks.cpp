// A whole search inside a program of one's own, over a communicator of its own: each rank trains
// children, rank 0 also coordinates, and the run is a folder that resumes.
//
//   mpicxx -std=c++20 search_over_ranks.cpp $(pkg-config --cflags --static --libs renas) -o search
//   mpirun -np 2 ./search DATA.h5 RUN
//
// DATA.h5 is written here first: images of three classes, each bright in a column of its own.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "renas/dataset_writer.h"
#include "renas/mpi_transport.h"
#include "renas/random.h"
#include "renas/search_run.h"

namespace {

void write_images(const std::string& path) {
  renas::DataSetWriter writer(path, true);
  renas::Random random(1);
  for (const char* split : {"train", "test"}) {
    writer.begin_split(split, {1, 8, 8});
    for (int label = 0; label < 96; ++label) {
      std::vector<uint8_t> pixels;
      for (int i = 0; i < 64; ++i) {
        const bool bright = i % 8 / 2 == label % 3;
        pixels.push_back(static_cast<uint8_t>((bright ? 160 : 0) + random.below(64)));
      }
      writer.add(pixels, label % 3);
    }
  }
  renas::DataSetInfo info;
  info.classes = 3;
  info.mean = {0.33};
  info.sd = {0.3};
  writer.finish(info);
}

void search(MPI_Comm communicator, const std::string& data, const std::string& folder) {
  const auto transport = renas::make_mpi_transport(communicator);
  if (transport->rank() == 0) write_images(data);
  MPI_Barrier(communicator);
  renas::SearchRunOptions options;
  options.data = data;
  options.folder = folder;
  options.blocks = 2;
  options.strategy.population = 4;
  options.strategy.sample = 2;
  options.children = 6;
  options.child.network.cells = options.final.network.cells = 1;
  options.child.network.filters = options.final.network.filters = 4;
  options.child.batch = options.final.batch = 16;
  options.final.recipe.epochs = 12;
  options.final.recipe.cosine_cycles = {12};
  renas::SearchRunHooks hooks;
  hooks.device_index = renas::choose_device(communicator, options.child.device.backend);
  const renas::SearchRunResult result = renas::run_search(options, *transport, hooks);
  if (transport->rank() != 0) return;
  for (const auto& network : result.networks) {
    if (network.name != result.winner) continue;
    std::printf("winner %s, %.1f %% on test: %s\n", network.name.c_str(),
                100 * network.test_accuracy.value_or(0), network.genome.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided);
  try {
    if (argc == 3) search(MPI_COMM_WORLD, argv[1], argv[2]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    MPI_Abort(MPI_COMM_WORLD, 1);  // the other ranks wait for this one
  }
  MPI_Finalize();
  return argc == 3 ? 0 : 2;
}
