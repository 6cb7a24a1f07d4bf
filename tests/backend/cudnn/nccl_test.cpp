// GPUs that are linked by the emulated NCCL: ranks are threads here, with an emulated GPU each.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "backend/conformance/cases.h"
#include "backend/cudnn/memory.h"
#include "backend/cudnn/nccl_link.h"
#include "backend/cudnn/streams.h"
#include "cuda_emulation/control.h"
#include "renas/backend.h"
#include "renas/error.h"
#include "support/thread_checks.h"
#include "support/thread_communicator.h"
#include "train/linked_ranks.h"

using namespace renas;
using renas::test::on_ranks;

namespace {

struct Machine {
  Machine() { emulation::restart(); }
};

/// The gradients of `rank` after they were averaged over two ranks with a GPU each.
Weights averaged_gradients(Communicator& ranks, bool linked) {
  const auto backend = make_backend({.backend = "cudnn", .index = ranks.rank()});
  const conformance::Case c = conformance::training_case();
  const auto program = backend->compile(c.graph, {.batch = c.batch});
  program->load(conformance::ramp_weights(c.graph, 1));
  LinkedRanks link(&ranks, *backend);
  BOOST_TEST(link.how() == "gradients are summed by NCCL " + std::to_string(NCCL_MAJOR) + "." +
                               std::to_string(NCCL_MINOR) + "." + std::to_string(NCCL_PATCH) +
                               " among 2 GPUs");
  for (uint64_t step = 0; step < 3; ++step) {
    conformance::stage(*program, c.graph, c.batch, 10 * step + static_cast<uint64_t>(ranks.rank()));
    program->gradients({.seed = 1, .step = step});
    program->reduce(linked ? *link.communicator() : ranks, ranks.ranks());
    if (step < 2) program->update({});
  }
  link.communicator()->wait_for_device();
  Weights gradients = program->gradients_by_name();
  link.close();
  return gradients;
}

cudnn::Nccl library() {
  std::string lacks;
  const cudnn::Nccl nccl = cudnn::open_nccl(lacks);
  BOOST_TEST(lacks == "");
  return nccl;
}

void nothing() {}

/// Whether an Error says all of `parts`.
auto says(const std::vector<std::string>& parts) {
  return [parts](const Error& e) {
    for (const std::string& part : parts) {
      BOOST_TEST(std::string(e.what()).find(part) != std::string::npos, e.what());
    }
    return true;
  };
}

struct GaveUp : Error {
  using Error::Error;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(linked_gpus, Machine)

BOOST_AUTO_TEST_CASE(gradients_have_the_same_bits_on_all_ranks_and_by_either_way) {
  std::vector<Weights> by_nccl(2);
  std::vector<Weights> by_hosts(2);
  const std::size_t before = emulation::nccl_sums();
  on_ranks(2, [&](Communicator& ranks) {
    by_nccl[static_cast<std::size_t>(ranks.rank())] = averaged_gradients(ranks, true);
  });
  BOOST_TEST(emulation::nccl_sums() == before + 6);  // two ranks, three steps
  on_ranks(2, [&](Communicator& ranks) {
    by_hosts[static_cast<std::size_t>(ranks.rank())] = averaged_gradients(ranks, false);
  });
  BOOST_TEST(emulation::nccl_sums() == before + 6);
  for (const auto& [name, gradient] : by_nccl[0]) {
    BOOST_TEST((gradient.values == by_nccl[1].at(name).values), name);
    BOOST_TEST((gradient.values == by_hosts[0].at(name).values), name);
  }
}

BOOST_AUTO_TEST_CASE(a_rank_that_leaves_ends_the_wait_of_the_others_and_no_stream_waits_for_it) {
  const cudnn::Nccl nccl = library();
  const std::string id = cudnn::nccl_id(nccl);
  on_ranks(2, [&](Communicator& ranks) {
    cudnn::use_device(ranks.rank());
    const cudnn::Stream stream;
    const cudnn::DeviceBlock values(4 * sizeof(float));
    auto link = cudnn::link_by_nccl(nccl, ranks.rank(), id, ranks.rank(), 2, nothing);
    any(&ranks, false);  // both are linked
    auto* const numbers = reinterpret_cast<float*>(values.data());
    if (ranks.rank() == 0) link->sum(numbers, 4, stream.get());
    any(&ranks, false);
    if (ranks.rank() == 1) link.reset();
    if (ranks.rank() == 0) {
      BOOST_CHECK_EXCEPTION(
          link->wait(), Error,
          says({"NCCL: a sum among GPUs on rank 0 of 2 failed", "rank 1 is gone", "NCCL_DEBUG"}));
      stream.wait();
      BOOST_CHECK_EXCEPTION(link->sum(numbers, 4, stream.get()), Error, says({"had failed"}));
    }
  });
}

BOOST_AUTO_TEST_CASE(a_wait_ends_where_it_is_to_be_given_up) {
  const cudnn::Nccl nccl = library();
  const std::string id = cudnn::nccl_id(nccl);
  on_ranks(2, [&](Communicator& ranks) {
    cudnn::use_device(ranks.rank());
    const cudnn::Stream stream;
    const cudnn::DeviceBlock values(4 * sizeof(float));
    bool over = false;
    const auto link = cudnn::link_by_nccl(nccl, ranks.rank(), id, ranks.rank(), 2, [&] {
      if (over) throw GaveUp("over");
    });
    if (ranks.rank() == 0) {
      link->sum(reinterpret_cast<float*>(values.data()), 4, stream.get());
      over = true;
      BOOST_CHECK_THROW(link->wait(), GaveUp);
      stream.wait();
    }
    any(&ranks, false);  // rank 1 has its link until then
  });
}

BOOST_AUTO_TEST_CASE(ranks_that_do_not_come_are_waited_for_with_a_limit) {
  const cudnn::Nccl nccl = library();
  BOOST_CHECK_EXCEPTION(cudnn::link_by_nccl(nccl, 0, cudnn::nccl_id(nccl), 0, 2, nothing, 0.05),
                        Error, says({"the other ranks did not come within 0 s"}));
  BOOST_CHECK_THROW(
      cudnn::link_by_nccl(nccl, 0, cudnn::nccl_id(nccl), 0, 2, [] { throw GaveUp("over"); }),
      GaveUp);
}

BOOST_AUTO_TEST_CASE(ranks_on_one_gpu_are_refused_by_the_library_too) {
  const cudnn::Nccl nccl = library();
  const std::string id = cudnn::nccl_id(nccl);
  on_ranks(2, [&](Communicator& ranks) {
    std::string refusal;
    try {
      cudnn::link_by_nccl(nccl, 0, id, ranks.rank(), 2, nothing);
    } catch (const Error& error) {
      refusal = error.what();
    }
    BOOST_TEST_IN_THREAD(refusal.find("invalid usage") != std::string::npos);
    BOOST_TEST_IN_THREAD(refusal.find("Duplicate GPU detected") != std::string::npos);
    any(&ranks, false);
  });
}

BOOST_AUTO_TEST_SUITE_END()
