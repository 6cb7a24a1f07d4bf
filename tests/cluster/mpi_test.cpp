// MPI that fails: what the ranks' communicator and transport make of it. One rank alone stands for
// all, and functions of MPI stand here in the place of its own, which they call unless told to
// fail.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <vector>

#include "renas/error.h"
#include "renas/mpi_transport.h"

namespace {

bool sums_fail = false;
bool sends_fail = false;

struct Mpi {
  Mpi() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  }
  ~Mpi() { MPI_Finalize(); }
};

}  // namespace

extern "C" {

int MPI_Allreduce(const void* from, void* to, int count, MPI_Datatype type, MPI_Op op,
                  MPI_Comm communicator) {
  return sums_fail ? MPI_ERR_OTHER : PMPI_Allreduce(from, to, count, type, op, communicator);
}

int MPI_Isend(const void* from, int count, MPI_Datatype type, int to, int tag,
              MPI_Comm communicator, MPI_Request* request) {
  return sends_fail ? MPI_ERR_OTHER : PMPI_Isend(from, count, type, to, tag, communicator, request);
}

}  // extern "C"

using namespace renas;

BOOST_TEST_GLOBAL_FIXTURE(Mpi);

BOOST_AUTO_TEST_SUITE(mpi)

BOOST_AUTO_TEST_CASE(a_sum_that_fails_is_no_sum) {
  const auto communicator = make_mpi_communicator(MPI_COMM_WORLD);
  std::vector<float> values{1, 2, 3};
  communicator->sum(values);
  BOOST_TEST(values == (std::vector<float>{1, 2, 3}), boost::test_tools::per_element());
  sums_fail = true;
  BOOST_CHECK_THROW(communicator->sum(values), Error);
  BOOST_CHECK_THROW(choose_device(MPI_COMM_WORLD, "cpu"), Error);
  sums_fail = false;
  BOOST_TEST(choose_device(MPI_COMM_WORLD, "cpu") == -1);
}

BOOST_AUTO_TEST_CASE(an_exchange_that_cannot_begin_is_left_and_the_next_is_whole) {
  const auto transport = make_mpi_transport(MPI_COMM_WORLD);
  const auto never = [] { return false; };
  std::vector<std::byte> out(1000, std::byte{7});
  std::vector<std::byte> in(1000);
  int asked = 0;
  sends_fail = true;
  // As where a rank is gone while it is waited for: the coordinator says when to give up.
  BOOST_CHECK_THROW(transport->exchange(0, out, 0, in, 1, [&] { return ++asked == 2; }),
                    ExchangeAbandoned);
  sends_fail = false;
  BOOST_TEST(asked == 2);
  // What was given up may still be written to by MPI, and is no memory of a later exchange.
  out.assign(100000, std::byte{8});
  in.resize(out.size());
  transport->exchange(0, out, 0, in, 2, never);
  BOOST_TEST((in == out));
}

BOOST_AUTO_TEST_SUITE_END()
