#include <algorithm>

#include "cluster/mpi_check.h"
#include "renas/communicator.h"
#include "renas/mpi_transport.h"

namespace renas {

namespace {

/// Numbers in one message of a sum: large enough for the network's full rate, small enough for
/// MPI's own buffers to stay in the cache.
constexpr std::size_t kBucket = std::size_t{1} << 18;

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(MPI_Comm communicator) {
    check_mpi(MPI_Comm_dup(communicator, &communicator_), "MPI_Comm_dup");
    check_mpi(MPI_Comm_rank(communicator_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(communicator_, &ranks_), "MPI_Comm_size");
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;
  ~MpiCommunicator() override { MPI_Comm_free(&communicator_); }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  void sum(std::span<float> values) override { sum(values, MPI_FLOAT); }
  void sum(std::span<double> values) override { sum(values, MPI_DOUBLE); }

 private:
  template <class T>
  void sum(std::span<T> values, MPI_Datatype type) {
    for (std::size_t from = 0; from < values.size(); from += kBucket) {
      const std::size_t count = std::min(kBucket, values.size() - from);
      check_mpi(MPI_Allreduce(MPI_IN_PLACE, values.data() + from, static_cast<int>(count), type,
                              MPI_SUM, communicator_),
                "MPI_Allreduce");
    }
  }

  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0;
  int ranks_ = 1;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(MPI_Comm communicator) {
  return std::make_unique<MpiCommunicator>(communicator);
}

}  // namespace renas
